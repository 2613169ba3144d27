# SPDX-License-Identifier: MIT
"""One run of one program under one allocator: what the launcher measured, what a load said, what went wrong."""
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import typing

import document
import endings
import server
from document import Sample

GRACE = 20           # seconds after its own limit in which the launcher must have ended everything
OWN_VARIABLES = ("MYALLOC_LIBRARY", "MYALLOC_BENCH", "MYALLOC_BENCH_NAME")  # of the command, not of what it measures
TICK = 1.0           # seconds
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
    tick: typing.Callable = int          # called about once a second while a run goes on


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


def launch(benchmark, library, place, extra, limit):
    """The launcher, which has begun to run the program."""
    options = ["-s", place.work / "looks", "-t", str(limit)]
    if benchmark.tree:
        options.append("-p")
    if benchmark.alone:
        options.append("-a")
    elif benchmark.checked:
        options.append("-c")
    out = place.work / "stdout" if says_figures(benchmark) else pathlib.Path(os.devnull)
    with open(place.stdin or os.devnull, "rb") as stdin, open(out, "wb") as stdout, \
            open(place.work / "stderr", "wb") as stderr:
        return subprocess.Popen([place.launcher, *options, place.work / "measured", *benchmark.command],
                                env=environment(benchmark, library, extra), cwd=place.where, stdin=stdin, stdout=stdout,
                                stderr=stderr, start_new_session=True)


def ended(process, seconds, tick):
    """Its exit status; subprocess.TimeoutExpired if it does not end."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > TICK:
        try:
            return process.wait(TICK)
        except subprocess.TimeoutExpired:
            tick()
    return process.wait(max(left, 0))


def start(benchmark, library, place, extra=()):
    """Runs the launcher until the program has ended; its exit status, None if even the launcher hung."""
    process = launch(benchmark, library, place, extra, place.limit)
    try:
        return ended(process, place.limit + GRACE, place.tick)
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


def ended_well(sample, place, stop):
    """Whether the program ended as it should: by itself, or a server by the signal that stops it."""
    if sample.signal:
        return sample.signal == stop
    return sample.exit in place.allowed or bool(stop) and sample.exit in (0, 128 + stop)


def wrong(sample, head, tail, place, stop=0):
    """What went wrong with a run, in one line; "" if nothing did. `stop`: the signal that a server got."""
    unloaded = NOT_PRELOADED.search(head)
    if sample.hung:
        return f"hung: ended after {place.limit:g} s"
    if not ended_well(sample, place, stop):
        return endings.ending(sample.exit, sample.signal) + endings.last_line(tail)
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


def measured(place):
    """What the launcher wrote, as a Sample; None if it wrote nothing."""
    try:
        return document.read(Sample, {"status": "", **json.loads((place.work / "measured").read_text())})
    except (OSError, ValueError):
        return None


def clear(place):
    for name in ("measured", "looks", "stdout", "stderr", "client", "client-stderr"):
        (place.work / name).unlink(missing_ok=True)


def run_once(benchmark, library, place, series=False, extra=()):
    """The Sample of one run: the launcher's figures, what went wrong, what the load printed; with `series` memory over time
    as well."""
    clear(place)
    benchmark.refresh(place.where)
    if benchmark.service:
        return served_once(benchmark, library, place, series, extra)
    status = start(benchmark, library, place, extra)
    sample = measured(place)
    if not sample:
        return Sample("hung: even its launcher" if status is None else f"not measured: {said(place)[1].strip()[-200:]}")
    sample.figures = read_figures(place.work / "stdout")
    sample.status = wrong(sample, *said(place), place)
    return with_looks(sample, benchmark, place, series)


def with_looks(sample, benchmark, place, series):
    looks = read_looks(place.work / "looks")
    if benchmark.steady:
        sample.halves = halves(looks, sample.elapsed)
    if series:
        sample.series = thin(looks)
    return sample


def served_once(benchmark, library, place, series, extra):
    """The same of a server: its time is that of its client, all else is its own, from its start to its end."""
    serving = server.Serving(benchmark.service, place, environment(benchmark, None))
    try:
        serving.check_free()
        seconds = serving.run(launch(benchmark, library, place, extra, benchmark.service.seconds(place.limit)))
    except server.Problem as problem:
        return Sample(str(problem))
    except server.Ended as ended:
        sample, tail = measured(place), said(place)[1]
        how = endings.ending(sample.exit, sample.signal) if sample else "not measured"
        hint = "; it must stay in the foreground" if how == "exit status 0" else ""
        return Sample(f"the server ended {ended}: {how}{endings.last_line(tail)}{hint}")
    sample = measured(place)
    if not sample:
        return Sample(f"not measured: {said(place)[1].strip()[-200:]}")
    sample.status, sample.elapsed = wrong(sample, *said(place), place, benchmark.service.stop), seconds
    return with_looks(sample, benchmark, place, series)


def rehearse(benchmark, place):
    """A run on the system's malloc: its Sample, and whether the loader looks at LD_PRELOAD in this program: it complains of a
    library that is not there."""
    sample = run_once(benchmark, str(place.work / "no-such-library.so"), place)
    heeds = (place.work / "stderr").exists() and bool(NOT_PRELOADED.search(said(place)[0]))
    if sample.status.startswith("not preloaded"):
        sample.status = ""
    return sample, heeds
