# SPDX-License-Identifier: MIT
"""A program that is a server: awaited until it is ready, asked by a client, told to stop.

The launcher (build/measure) runs the server, and ends all that is left of it; another one runs the client, without a preload,
whose time is the time of the run. Each step has its limit: a server that is not ready or does not stop and a client that does
not end are ended, too."""
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import endings

TEXT = "text:"       # before what --ready awaits in the server's output
SHARE = 0.25         # of the limit of a run: for the server to be ready, and to stop
LOOK = 0.02          # seconds between two looks
LINGER = 1.0         # in which a server may end by itself that its client has stopped, and the client of one that crashed
NO_COMMAND = 127     # the shell's exit status


class Problem(Exception):
    """What went wrong, in one line."""


class Ended(Exception):
    """The server did, too early: when."""


@dataclasses.dataclass
class Service:
    ready: str             # a port, `text:` and a text, or a command
    client: str            # a command
    stop: int              # a signal
    processes: int = 1     # that the server was seen to have, at most

    def seconds(self, limit):
        """That the launcher of the server must give it, if all take as long as they may."""
        return limit * (1 + 2 * SHARE) + 2 * LINGER


def shell(command, seconds, env, where):
    """Its exit status, None if it did not end in time: then it and what it started are killed."""
    process = subprocess.Popen(["/bin/sh", "-c", command], env=env, cwd=where, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(timeout=seconds)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return None
        raise


def is_open(port):
    for host in ("127.0.0.1", "::1"):
        try:
            with socket.create_connection((host, port), timeout=1):
                return True
        except OSError:
            continue
    return False


def says(text, paths):
    return any(text.encode() in path.read_bytes() for path in paths if path.exists())


def children(pid):
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def count(pid):
    """Processes, from this one down."""
    return 1 + sum(map(count, children(pid)))


class Serving:
    """One run of a server. `env` is what the client and the command of --ready are started with."""

    def __init__(self, service, place, env):
        self.service, self.place, self.env = service, place, env
        self.patience = place.limit * SHARE
        self.launcher = None  # of the server

    def is_ready(self, seconds):
        ready = self.service.ready
        if ready.isdigit():
            return is_open(int(ready))
        if ready.startswith(TEXT):
            return says(ready.removeprefix(TEXT), [self.place.work / "stdout", self.place.work / "stderr"])
        status = shell(ready, seconds, self.env, self.place.where)
        if status == NO_COMMAND:
            raise Problem(f"--ready '{ready}': the shell finds no such command; for a text in the output: --ready '{TEXT}…'")
        return status == 0

    def check_free(self):
        """Otherwise the client would ask another server."""
        if not self.service.ready.startswith(TEXT) and self.is_ready(self.patience):
            what = f"port {self.service.ready} is open" if self.service.ready.isdigit() else f"'{self.service.ready}' succeeds"
            raise Problem(f"{what} before the server has started: something else answers there")

    def check_alive(self, when):
        if self.launcher.poll() is not None:
            raise Ended(when)

    def pidfd(self):
        """Of the server; that number cannot become another process's as long as the launcher has not reaped it."""
        while not (pids := children(self.launcher.pid)):
            self.check_alive("before it was ready")
            time.sleep(LOOK / 20)
        try:
            return pids[0], os.pidfd_open(pids[0])
        except OSError:
            raise Ended("before it was ready") from None

    def await_ready(self):
        until, pause = time.monotonic() + self.patience, LOOK / 20
        while (left := until - time.monotonic()) > 0:
            self.check_alive("before it was ready")
            if self.is_ready(left):
                return
            time.sleep(min(pause, left))
            pause = min(2 * pause, LOOK)
        is_text = self.service.ready.startswith(TEXT)
        hint = "; many programs write late to what is no terminal: a port is surer" if is_text else ""
        raise Problem(f"hung: not ready within {self.patience:g} s (--ready '{self.service.ready}'{hint})")

    def ask(self, pid):
        """Runs the client; its seconds."""
        measured, errors = self.place.work / "client", self.place.work / "client-stderr"
        with open(errors, "wb") as stderr:
            client = subprocess.Popen([self.place.launcher, "-i", "0", "-t", str(self.place.limit), measured, "/bin/sh", "-c",
                                       self.service.client], env=self.env, cwd=self.place.where, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True)
        try:
            self.await_client(client, pid)
        finally:
            if client.poll() is None:
                client.terminate()  # it ends what it started
                client.wait()
        try:
            told = json.loads(measured.read_text())
        except (OSError, ValueError):
            raise Problem(f"the client was not measured{endings.last_line(errors.read_text(errors='replace'))}") from None
        if told["hung"]:
            raise Problem(f"hung: the client did not end within {self.place.limit:g} s")
        if told["exit"] or told["signal"]:
            self.linger()
            raise Problem(f"the client failed: {endings.ending(told['exit'], told['signal'])}"
                          f"{endings.last_line(errors.read_text(errors='replace'))}")
        return told["elapsed"]

    def await_client(self, client, pid):
        while client.poll() is None:
            self.service.processes = max(self.service.processes, count(pid))
            try:
                client.wait(LOOK)
            except subprocess.TimeoutExpired:
                self.place.tick()
                if self.launcher.poll() is not None:
                    self.see_off(client)

    def see_off(self, client):
        """The server has ended; its client may be about to, having stopped it."""
        try:
            client.wait(LINGER)
        except subprocess.TimeoutExpired:
            raise Ended("before its client") from None

    def linger(self):
        """If the server goes down, the client fails first."""
        try:
            self.launcher.wait(LINGER)
        except subprocess.TimeoutExpired:
            return
        raise Ended("before its client was done")

    def stop(self, pidfd):
        try:
            signal.pidfd_send_signal(pidfd, self.service.stop)
        except ProcessLookupError:  # its client has stopped it
            pass
        try:
            self.launcher.wait(self.patience)
        except subprocess.TimeoutExpired:
            raise Problem(f"hung: {endings.signal_name(self.service.stop)} did not stop it within {self.patience:g} s; "
                          "--stop names another signal") from None

    def run(self, launcher):
        """From the start of the server's launcher to its end; the client's seconds."""
        self.launcher = launcher
        try:
            pid, pidfd = self.pidfd()
            try:
                self.await_ready()
                seconds = self.ask(pid)
                self.stop(pidfd)
                return seconds
            finally:
                os.close(pidfd)
        finally:
            if launcher.poll() is None:
                launcher.terminate()  # it ends the server, and all that this has started
                launcher.wait()
