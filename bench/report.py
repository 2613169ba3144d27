# SPDX-License-Identifier: MIT
"""Tables for the terminal, and conditions that end a run with a failure."""
import re

import numpy

import figures

UNITS = {"time": ("s", 1), "peak": ("MiB", 1024), "average": ("MiB", 1024), "faults": ("thousands", 1000)}
TITLES = {"time": "time", "peak": "peak memory", "average": "average memory over time", "faults": "page faults"}
CONDITION = re.compile(r"^\s*(\w+)\.(time|peak|average|faults)\s*(>|<)\s*([0-9.]+)\s*\*\s*(\w+)\s*$")


def names_of(results):
    return list(dict.fromkeys(name for result in results.values() for name in result["rounds"][0]["samples"]))


def cell(result, name, best, metric):
    if name not in result["rounds"][0]["samples"]:
        return ""
    found = figures.ratio(result, name, best, metric) if best else None
    if found is None:
        return "failed"
    same = name != best and not figures.differs(found, figures.noise(result, metric))
    return f"{found[0]:.2f}" + ("=" if same else " ")


def table(results, metric):
    unit, scale = UNITS[metric]
    names = names_of(results)
    print(f"\n{TITLES[metric]}, ratio to the best of the others on each benchmark (first column: that best, {unit})")
    print(f"{'':20}{'best':>10}" + "".join(f"{name:>11}" for name in names))
    for key, result in results.items():
        best = figures.best_peer(result, metric)
        amount = numpy.median(figures.values(result, best, metric)) / scale if best else 0
        print(f"{key:20}{amount:10.2f}" + "".join(f"{cell(result, name, best, metric):>11}" for name in names))
    for base in ("best", "glibc"):
        means = {name: figures.geometric(results, name, base, metric) for name in names}
        if any(means.values()):
            print(f"{'geometric mean':20}{'to ' + base:>10}" + "".join(f"{means[n][0]:10.3f} " if means[n] else f"{'-':>11}" for n in names))
            print(f"{'  95 %, of how many':30}" + "".join(
                f"{'±%.3f %2d' % ((means[n][2] - means[n][1]) / 2, means[n][3]):>11}" if means[n] else f"{'-':>11}" for n in names))


def print_all(document):
    results = document["benchmarks"]
    print("\n".join(f"{key}: {value}" for key, value in document["machine"].items()))
    for metric in figures.METRICS:
        table(results, metric)
    print("\n`=`: the difference from the best lies within its 95 % interval and the noise, which a copy of myalloc shows.")
    floors = [floor for result in results.values() if (floor := figures.noise(result, "time")) is not None]
    if floors:
        print(f"noise of time: median {numpy.median(floors):.3f}, worst {max(floors):.3f}")
    dropped = sum(result["dropped"] for result in results.values())
    if dropped:
        print(f"{dropped} rounds dropped, because the host took more than 2 % of their time")
    for key, result in results.items():
        for name in names_of(results):
            if figures.failure(result, name):
                print(f"FAILED {key} with {name}: {figures.failure(result, name)}")


def print_change(before, after):
    """Two files of samples: what changed beyond its interval, and the noise of either."""
    print(f"{'':20}{'allocator':>11}" + "".join(f"{metric:>22}" for metric in figures.METRICS))
    for key in before["benchmarks"].keys() & after["benchmarks"].keys():
        pair = before["benchmarks"][key], after["benchmarks"][key]
        for name in [n for n in names_of({0: pair[0]}) if n in names_of({0: pair[1]})]:
            cells = []
            for metric in figures.METRICS:
                found = figures.change(*pair, name, metric)
                floor = max((figures.noise(result, metric) or 0) for result in pair)
                mark = "" if not found else "*" if figures.differs(found, floor) else " "
                cells.append(f"{found[0]:.3f} [{found[1]:.3f} {found[2]:.3f}]{mark}" if found else "failed")
            print(f"{key:20}{name:>11}" + "".join(f"{text:>22}" for text in cells))
    print("after / before, each relative to glibc in its own rounds; `*`: differs beyond its interval and the noise")


def parse_condition(text):
    """(name, metric, sign, factor, base), or None if the text is no condition."""
    found = CONDITION.match(text)
    return (*found.groups()[:3], float(found.group(4)), found.group(5)) if found else None


def holds(condition, results):
    """True, False, or None if there are no figures for it. `A.m > f*B` is of the geometric means of A / B."""
    name, metric, sign, factor, base = condition
    found = figures.geometric(results, name, base, metric)
    if found is None:
        return None
    return found[0] > factor if sign == ">" else found[0] < factor
