# SPDX-License-Identifier: MIT
"""A terminal for tests of what draws on one: a pseudo-terminal, and the screen as it would look."""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

# The session's first process, as a shell is: the command is a job of it, in a process group of its own, so that it can be
# stopped. Ends as the command does.
LEADER = """import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
status = os.waitpid(child, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""
SETTLES = 0.5  # seconds after a change of size in which a picture of the size before may still come
SEQUENCE = re.compile(rb"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Terminal:
    """Runs a command on a terminal of so many columns and rows. `lines` is the screen, `styles` all styles that were used."""

    def __init__(self, command, columns, rows, environment):
        self.main, self.other = pty.openpty()
        self.apart, self.cursor, self.wrong, self.styles = False, True, set(), set()
        self.rest = b""
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.other)
        self.leader = subprocess.Popen([sys.executable, "-S", "-c", LEADER, *map(str, command)], stdin=self.other,
                                       stdout=self.other, stderr=self.other, env=environment, start_new_session=True)
        self.number = self.find_child()

    def find_child(self):
        for _ in range(500):
            found = pathlib.Path(f"/proc/{self.leader.pid}/task/{self.leader.pid}/children").read_text().split()
            if found:
                return int(found[0])
            time.sleep(0.01)
        return 0

    def resize(self, columns, rows):
        self.columns, self.rows, self.resized = columns, rows, time.monotonic()
        self.lines, self.row, self.column = [""] * rows, 0, 0
        fcntl.ioctl(self.other, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.main, keys)

    def read(self, seconds):
        """Takes in what comes within a time; True if anything did."""
        if not select.select([self.main], [], [], seconds)[0]:
            return False
        self.rest += os.read(self.main, 1 << 16)
        self.show()
        return True

    def until(self, holds, seconds=60):
        """Reads until `holds` of the screen's text is true; whether it came to that."""
        end = time.monotonic() + seconds
        while not holds("\n".join(self.lines)):
            if time.monotonic() > end:
                return False
            self.read(0.1)
        return True

    def show(self):
        while self.rest:
            found = SEQUENCE.match(self.rest)
            if found:
                self.obey(found[1] + found[3], found[2].decode())
                self.rest = self.rest[found.end():]
            elif self.rest[0] == 0x1b:
                if len(self.rest) > 30:
                    self.wrong.add(f"sequence {self.rest[:30]}")
                return
            else:
                text, mark, rest = self.rest.partition(b"\x1b")
                self.write(text.decode(errors="replace"))
                self.rest = mark + rest

    def obey(self, kind, numbers):
        if kind == b"H":
            self.row, self.column = (int(number) - 1 for number in numbers.split(";"))
            if self.row >= self.rows:
                self.blame(f"row {self.row}")
                self.row = self.rows - 1
        elif kind == b"K" and numbers == "2":
            self.lines[self.row] = ""
        elif kind == b"J" and numbers == "2":
            self.lines = [""] * self.rows
        elif kind == b"m":
            self.styles.add(numbers)
        elif kind in (b"?h", b"?l") and numbers in ("25", "1049"):
            setattr(self, "cursor" if numbers == "25" else "apart", kind == b"?h")
            self.lines = [""] * self.rows if numbers == "1049" else self.lines
        else:
            self.wrong.add(f"sequence {kind}{numbers}")

    def blame(self, what):
        if time.monotonic() > self.resized + SETTLES:
            self.wrong.add(what)

    def write(self, text):
        if not self.apart:
            return
        if self.column + len(text) > self.columns or set(text) & set("\r\n\t\x00"):
            self.blame(f"{self.row},{self.column}: {text!r}")
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + text + line[self.column + len(text):]
            self.column += len(text)

    def ends(self, status):
        """Empty, or how else it ended."""
        end = time.monotonic() + 60
        while self.leader.poll() is None and time.monotonic() < end:
            self.read(0.02)
        return None if self.leader.poll() == status else f"it ended with {self.leader.poll()}, not {status}"

    def is_restored(self):
        """Empty, or what of the terminal is not as it was."""
        while self.read(0.05):
            pass
        wrong = [name for name, bad in (("screen", self.apart), ("cursor", not self.cursor),
                                        ("modes", termios.tcgetattr(self.other) != self.before)) if bad]
        return " ".join(wrong)

    def close(self):
        try:
            os.kill(self.number, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.leader.wait()
        os.close(self.main)
        os.close(self.other)
