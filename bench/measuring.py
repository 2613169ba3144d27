# SPDX-License-Identifier: MIT
"""Runs programs under allocators, in turn, and keeps every sample."""
import dataclasses
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

FIELDS = ("elapsed", "user", "system", "peak", "minor", "major", "average", "voluntary", "involuntary")
STEAL_MOST = 0.02  # of a round's time; above, the host gave our time to others and the round does not count
NARROW = 0.01      # half the width of an interval at which more rounds teach nothing


@dataclasses.dataclass
class Plan:
    rounds: int = 5           # at least
    rounds_most: int = 15
    budget: float = 60.0      # seconds for each benchmark, after the first `rounds`
    limit: float = 300.0      # seconds for one run
    narrow: bool = True       # more rounds until the intervals are narrow


def steal_and_total():
    """Clock ticks so far that the host took from us, and all."""
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


def run_once(command, environment, library, launcher, work, where, limit, series=False):
    """One run in the folder `where`, with the launcher's files in `work`: a dict of FIELDS and `status`: "" or what went wrong; with `series`, memory over time as well."""
    env = dict(os.environ, **environment)
    env.pop("LD_PRELOAD", None)
    if library:
        env["LD_PRELOAD"] = library
    line, looks = work / "measured", work / "looks"
    line.unlink(missing_ok=True)
    process = subprocess.Popen([launcher, *(["-s", looks] if series else []), line, *command], env=env, cwd=where,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               start_new_session=True)
    try:
        said = process.communicate(timeout=limit)[1].decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"status": f"hung: ended after {limit:g} s"}
    sample = {"status": ""}
    if line.exists():
        sample.update(zip(FIELDS, map(float, line.read_text().split())))
    if process.returncode != 0:
        code = process.returncode
        why = signal.Signals(code - 128).name if code > 128 else f"exit status {code}"
        sample["status"] = f"{why}: {said.strip().splitlines()[-1][:200]}" if said.strip() else why
    elif series and looks.exists():
        sample["series"] = [list(map(float, row.split())) for row in looks.read_text().splitlines()]
    return sample


def one_round(benchmark, libraries, order, launcher, work, where, plan, series):
    stolen, total = steal_and_total()
    samples = {name: run_once(benchmark.command, benchmark.environment, libraries[name].library, launcher, work,
                              where, plan.limit, series) for name in order}
    stolen_after, total_after = steal_and_total()
    return {"order": order, "steal": (stolen_after - stolen) / max(total_after - total, 1), "samples": samples}


def enough(rounds, plan, started, widths):
    """Whether to stop: enough rounds, and narrow intervals or no budget left."""
    if len(rounds) < plan.rounds:
        return False
    if len(rounds) >= plan.rounds_most or not plan.narrow or time.monotonic() - started > plan.budget:
        return True
    return widths(rounds) <= NARROW


def run_benchmark(benchmark, libraries, launcher, work, where, plan, widths):
    """A warm-up, then rounds in random order, each second one the reverse of the first (ABBA). `widths` tells how wide
    the widest interval still is. An allocator that failed in the warm-up is tried in every round all the same."""
    rounds, dropped, order = [], 0, list(libraries)
    one_round(benchmark, libraries, order, launcher, work, where, plan, False)
    started = time.monotonic()
    while not enough(rounds, plan, started, widths):
        if (len(rounds) + dropped) % 2 == 0:
            random.shuffle(order)
        else:
            order = order[::-1]
        found = one_round(benchmark, libraries, list(order), launcher, work, where, plan, series=not rounds)
        if found["steal"] > STEAL_MOST and dropped < plan.rounds:
            dropped += 1
            continue
        rounds.append(found)
    return {"about": benchmark.about, "command": [str(word) for word in benchmark.command], "rounds": rounds,
            "dropped": dropped}


def run_all(chosen, libraries, launcher, work, where, plan, widths):
    results, begun = {}, time.monotonic()
    for i, benchmark in enumerate(chosen):
        results[benchmark.name] = run_benchmark(benchmark, libraries, launcher, work, where, plan, widths)
        spent = time.monotonic() - begun
        left = spent / (i + 1) * (len(chosen) - i - 1)
        print(f"\r\033[K{i + 1}/{len(chosen)} {benchmark.name}; about {left / 60:.1f} min left", end="", file=sys.stderr, flush=True)
    print("\r\033[K", end="", file=sys.stderr)
    return results
