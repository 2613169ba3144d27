#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""start.py [--whole] SECONDS COMMAND...: starts a command in the surroundings that the tests count on, and ends it, with all
that it started, when its time is up: exit status 124 then, as timeout(1) does it. --whole is for whole tests: they get a clock
of their own (TESTS_CLOCK, for tap.h and tap.sh), and what they leave behind is ended, too. For Python scripts, the same as
functions.

A limit is not of wall time: under load a test may take many times as long as alone. A clock is asked that goes on only as
fast as the machine serves the test: while all its threads sleep, with the wall; while some would run, with the share of
processor time that they get of what they could use. So a hang ends in time, asleep or not, and load alone ends nothing; but
nothing takes more than LONGEST times its limit by the wall."""
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

TICK = 0.5  # seconds between two looks at /proc; a look takes a few milliseconds
LONGEST = 20
TIME_IS_UP = 124
# All else that the caller's environment says is not for the tests, which set what they need.
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "MYALLOC_BUILD", "MYALLOC_LIB", "MYALLOC_LIBRARIES", "MYALLOC_SCHEDULE",
        "SOAK_SECONDS", "TESTS_EFFORT", "TESTS_UMASK")
SET = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "SHELL": "/bin/sh", "TESTS_SETTLED": "1"}
NO_LIMIT = ("AS", "DATA", "RSS", "FSIZE", "CPU", "LOCKS")  # else: soft limits as a login has them
SOFT = {"STACK": 8 << 20, "NOFILE": 1024, "CORE": 0}
HZ = os.sysconf("SC_CLK_TCK")


# ---- surroundings -----------------------------------------------------------------------------------------------------

def settle():
    """Puts this process, and so all that it starts, into a state that does not depend on who started it: signals as after
    login (`nohup`, or a shell's &, leaves some ignored; and no child's end is seen where SIGCHLD is), standard streams open,
    limits, umask, environment, address spaces as the kernel makes them."""
    if os.environ.get("TESTS_SETTLED"):
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:  # Popen restores SIGPIPE
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for name in NO_LIMIT:
        soften(name, resource.RLIM_INFINITY)
    for name, value in SOFT.items():
        soften(name, value)
    os.umask(int(os.environ.get("TESTS_UMASK", "022"), 8))
    kept = {key: os.environ[key] for key in KEPT if key in os.environ}
    for key, usable in (("HOME", os.path.isdir), ("TMPDIR", lambda path: os.access(path, os.W_OK | os.X_OK))):
        if key in kept and not usable(kept[key]):
            del kept[key]
    os.environ.clear()
    os.environ.update({"PATH": os.defpath, "HOME": tempfile.gettempdir()} | kept | SET)
    usual_address_space()


def soften(name, value):
    """The soft limit, as near to `value` as the hard one allows."""
    number = getattr(resource, f"RLIMIT_{name}", None)
    if number is not None:
        hard = resource.getrlimit(number)[1]
        capped = hard != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > hard)
        resource.setrlimit(number, (hard if capped else value, hard))


def usual_address_space():
    """As without setarch(1), and with huge pages if the system has them."""
    import ctypes  # takes ten milliseconds
    libc = ctypes.CDLL(None)
    libc.personality(ctypes.c_ulong(0))
    libc.prctl(41, 0, 0, 0, 0)  # PR_SET_THP_DISABLE


# ---- time -------------------------------------------------------------------------------------------------------------

def fields(path):
    """The fields of a stat file behind the name of the program, from the state on; None if it is gone."""
    try:
        with open(path, "rb") as file:
            return file.read().rpartition(b") ")[2].split()
    except OSError:
        return None


def children(pid, thread):
    """The children that a thread has started, as the kernel lists them, from the oldest on."""
    try:
        with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def threads_of(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def tree(root):
    """Process id -> fields, of a process and all below it. From parent to child, so that it takes less than a millisecond:
    what a shell runs would have gone meanwhile."""
    wanted, inside = [root], {}
    while wanted:
        pid = wanted.pop()
        found = fields(f"/proc/{pid}/stat")
        if found and pid not in inside:
            inside[pid] = found
            wanted += [child for thread in threads_of(pid) for child in children(pid, thread)]
    return inside


def running(found):
    """How many threads run, or would if they were let, or wait for a disk. (So looks, too, who waits for a child that has yet
    to become another program; it is the child that counts.)"""
    parents = {int(one[1]) for one in found.values()}
    states = [(pid, fields(f"/proc/{pid}/task/{thread}/stat")) for pid in found for thread in threads_of(pid)]
    return sum(state is not None and (state[0] == b"R" or state[0] == b"D" and pid not in parents) for pid, state in states)


class Clock:
    """The seconds that a process with all that it started was given; with this process as the root, all that this one
    started."""

    def __init__(self, root):
        self.root, self.given, self.used = root, 0.0, 0.0
        self.started = self.looked = time.monotonic()

    def tree(self):
        found = tree(self.root)
        found.pop(os.getpid(), None)
        return found

    def look(self):
        """Brings `given` up to date. Children that ended count by what their parents took over of them."""
        found = self.tree()
        used = sum(sum(map(int, one[11:15])) for one in found.values()) / HZ
        now = time.monotonic()
        passed, got = now - self.looked, max(used - self.used, 0.0)
        self.looked, self.used = now, used
        self.given += passed * share(got, passed, running(found))
        return found

    def late(self, limit):
        return self.given >= limit or time.monotonic() - self.started >= limit * LONGEST


def share(got, passed, threads):
    """Of the time that passed, what part counts. A program that keeps all processors busy gets all there is, however many
    threads it has."""
    if threads == 0 or passed <= 0:
        return 1.0
    return min(1.0, max(got / (threads * passed), got / (len(os.sched_getaffinity(0)) * passed)))


# ---- limits -----------------------------------------------------------------------------------------------------------

class Late(subprocess.TimeoutExpired):
    """A command whose time was up; says what its processes were about."""

    def __init__(self, command, limit, told, out=None, errors=None):
        super().__init__(command, limit, out, errors)
        self.told = told

    def __str__(self):
        return f"{super().__str__()}\n{self.told}"


def wait_for(process, limit, text=None, adopts=False):
    """What the process printed, once it has ended; Late when its time is up, and then it is gone."""
    clock = Clock(os.getpid() if adopts else process.pid)
    while True:
        try:
            return process.communicate(text, timeout=TICK)
        except subprocess.TimeoutExpired:
            found, text = clock.look(), None
        if adopts:
            publish(clock.given)
        if clock.late(limit):
            told = states(found)
            end(clock)
            raise Late(process.args, limit, told, *process.communicate())


def publish(given):
    """Milliseconds, as text of always the same length, for tap.h and tap.sh."""
    if "TESTS_CLOCK" in os.environ:
        with open(os.environ["TESTS_CLOCK"], "r+b", buffering=0) as file:
            file.write(b"%012d\n" % (given * 1000))


def states(found):
    """What each process of a tree was about when its time was up."""
    lines = []
    for pid, one in sorted(found.items()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()[:100]
            with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
                where = file.read()
        except OSError:
            continue
        lines.append(f"process {pid}: {one[0].decode()}, {(int(one[11]) + int(one[12])) / HZ:.1f} s of processor time, "
                     f"{where.strip('0') or 'not in the kernel'}: {command}")
    return "\n".join(lines)


def end(clock):
    """Kills all that a clock watches, again until nothing is left: what is killed may just have started another."""
    for _ in range(50):
        left = [pid for pid, found in clock.tree().items() if found[0] != b"Z"]
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not left:
            return
        time.sleep(0.02)


def run(command, timeout=100, check=False, input=None, capture_output=False, adopts=False, **options):
    """subprocess.run with a limit by the clock above. `adopts`: with all that this process has started or adopted."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options.setdefault("stdin", subprocess.PIPE if input is not None else subprocess.DEVNULL)
    with subprocess.Popen(command, **options) as process:
        try:
            out, errors = wait_for(process, timeout, input, adopts)
        except KeyboardInterrupt:
            end(Clock(process.pid))
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, errors)
    if check:
        done.check_returncode()
    return done


def adopt_orphans():
    """What a command leaves behind becomes a child of this process, and can be found."""
    import ctypes
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def status_of(seconds, command, adopts=False):
    try:
        status = run(command, float(seconds), stdin=None, adopts=adopts).returncode
    except Late as late:
        print(f"start.py: {late}", file=sys.stderr)
        return TIME_IS_UP
    except OSError as error:
        print(error, file=sys.stderr)
        return 127
    return status if status >= 0 else 128 - status


def status_of_whole(seconds, command):
    adopt_orphans()
    with tempfile.NamedTemporaryFile(prefix="myalloc-clock-") as file:
        file.write(b"%012d\n" % 0)
        file.flush()
        os.chmod(file.name, 0o644)  # for tests that give up their rights
        os.environ["TESTS_CLOCK"] = file.name
        status = status_of(seconds, command, adopts=True)
        end(Clock(os.getpid()))
        return status


def main():
    whole = sys.argv[1:2] == ["--whole"]
    seconds, *command = sys.argv[2 if whole else 1:] or [None]
    if not command:
        sys.exit(__doc__)
    settle()
    sys.exit((status_of_whole if whole else status_of)(seconds, command))


if __name__ == "__main__":
    main()
