# SPDX-License-Identifier: MIT
"""One run of one program under one allocator: what the launcher measured, what a load said, what went wrong."""
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess

import document
from document import Sample

GRACE = 20           # seconds after its own limit in which the launcher must have ended everything
OWN_VARIABLES = ("MYALLOC_LIBRARY", "MYALLOC_BENCH", "MYALLOC_BENCH_NAME")  # of the command, not of what it measures
POINTS = 150         # of a series of memory over time; each keeps the highest of its looks
HEAD, TAIL = 20000, 4000  # bytes of stderr that are looked at
NOT_PRELOADED = re.compile(r"^ERROR: ld\.so: object '([^']*)' from LD_PRELOAD cannot be preloaded \(([^)]*)\)", re.M)
FIGURE = re.compile(r"^figure (\S+) (\S+) (\S+)\s*$", re.M)


@dataclasses.dataclass
class Place:
    """Where runs happen, and what is the same for all of them."""
    launcher: pathlib.Path
    work: pathlib.Path                   # files of the harness itself
    where: pathlib.Path                  # the working folder of the programs
    limit: float = 120.0                 # seconds after which a run counts as hung
    stdin: pathlib.Path | None = None    # /dev/null without
    allowed: tuple = (0,)                # exit statuses that are no failure


def environment(benchmark, library, extra=()):
    env = dict(os.environ, **benchmark.environment)
    for name in ("LD_PRELOAD", *OWN_VARIABLES):
        env.pop(name, None)
    if library:
        env["LD_PRELOAD"] = library
    env.update(extra)
    return env


def says_figures(benchmark):
    """Loads print figures; the output of real programs goes to /dev/null."""
    return benchmark.group != "programs"


def start(benchmark, library, place, extra=()):
    """Runs the launcher until the program has ended; its exit status, None if even the launcher hung."""
    options = ["-s", place.work / "looks", "-t", str(place.limit)]
    if benchmark.tree:
        options.append("-p")
    if benchmark.alone:
        options.append("-a")
    elif benchmark.checked:
        options.append("-c")
    out = place.work / "stdout" if says_figures(benchmark) else pathlib.Path(os.devnull)
    with open(place.stdin or os.devnull, "rb") as stdin, open(out, "wb") as stdout, \
            open(place.work / "stderr", "wb") as stderr:
        process = subprocess.Popen([place.launcher, *options, place.work / "measured", *benchmark.command],
                                   env=environment(benchmark, library, extra), cwd=place.where, stdin=stdin,
                                   stdout=stdout, stderr=stderr, start_new_session=True)
        try:
            return process.wait(timeout=place.limit + GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None
        except BaseException:  # an interrupt: the launcher ends what it started
            process.terminate()
            process.wait(timeout=GRACE)
            raise


def said(place):
    """The beginning and the end of what the program wrote to stderr."""
    with open(place.work / "stderr", "rb") as file:
        head = file.read(HEAD)
        file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
        return head.decode(errors="replace"), file.read().decode(errors="replace")


def signal_name(number):
    """Real-time signals have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def wrong(sample, head, tail, place):
    """What went wrong with a run, in one line; "" if nothing did."""
    lines = tail.strip().splitlines()
    last = "".join(c if c.isprintable() else "?" for c in f": {lines[-1][:200]}") if lines else ""
    unloaded = NOT_PRELOADED.search(head)
    if sample.hung:
        return f"hung: ended after {place.limit:g} s"
    if sample.signal:
        return signal_name(sample.signal) + last
    if sample.exit not in place.allowed:
        return f"exit status {sample.exit}{last}"
    if unloaded:
        return f"not preloaded: {unloaded.group(1)}: {unloaded.group(2)}"
    if sample.figures.get("rate", (1,))[0] <= 0:
        return "the load did no operation"
    return ""


def read_figures(path):
    found = {}
    for name, value, unit in FIGURE.findall(path.read_text(errors="replace") if path.exists() else ""):
        try:
            found[name] = (float(value), unit)
        except ValueError:
            continue
    return found


def read_looks(path):
    return [tuple(map(float, row.split())) for row in path.read_text().splitlines()] if path.exists() else []


def thin(looks):
    """At most POINTS looks, each the highest of its share."""
    share = -(-len(looks) // POINTS) or 1
    return [max(looks[i:i + share], key=lambda look: look[1]) for i in range(0, len(looks), share)]


def halves(looks, elapsed):
    """Average KiB over the time of the first and of the second half of the run; None if one has no look."""
    ends = [at for at, _ in looks[1:]] + [max(elapsed, looks[-1][0])] if looks else []
    parts = [[(end - at, kib) for (at, kib), end in zip(looks, ends) if (at >= elapsed / 2) == second]
             for second in (False, True)]
    times = [sum(time for time, _ in part) for part in parts]
    if not all(times):
        return None
    return tuple(sum(time * kib for time, kib in part) / whole for part, whole in zip(parts, times))


def run_once(benchmark, library, place, series=False, extra=()):
    """The Sample of one run: the launcher's figures, what went wrong, what the load printed; with `series` memory over time
    as well."""
    for name in ("measured", "looks", "stdout", "stderr"):
        (place.work / name).unlink(missing_ok=True)
    benchmark.refresh(place.where)
    status = start(benchmark, library, place, extra)
    head, tail = said(place)
    try:
        sample = document.read(Sample, {"status": "", **json.loads((place.work / "measured").read_text())})
    except (OSError, ValueError):
        return Sample("hung: even its launcher" if status is None else f"not measured: {tail.strip()[-200:]}")
    sample.figures = read_figures(place.work / "stdout")
    sample.status = wrong(sample, head, tail, place)
    looks = read_looks(place.work / "looks")
    if benchmark.steady:
        sample.halves = halves(looks, sample.elapsed)
    if series:
        sample.series = thin(looks)
    return sample


def heeds_preload(benchmark, place):
    """Whether the loader looks at LD_PRELOAD in this program: it complains of a library that is not there."""
    run_once(benchmark, str(place.work / "no-such-library.so"), place)
    return bool(NOT_PRELOADED.search(said(place)[0]))
