# SPDX-License-Identifier: MIT
"""From samples to figures: medians of per-round ratios with bootstrap intervals, the noise floor, geometric means.

All ratios are of runs of the same round, so that what the machine did in that minute falls out. Intervals are 95 %,
percentile bootstrap over rounds (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13)."""
import numpy
from scipy import stats

from allocators import OURS

METRICS = {"time": "elapsed", "peak": "peak", "average": "average", "faults": "minor"}
RESAMPLES = 2000
SEED = 12345


def values(result, name, metric):
    """One value a round; None if any of the allocator's runs failed."""
    samples = [found["samples"].get(name, {"status": "not run"}) for found in result["rounds"]]
    if not samples or any(sample["status"] for sample in samples):
        return None
    return numpy.array([max(sample[METRICS[metric]], 1e-9) for sample in samples])


def failure(result, name):
    """The first thing that went wrong, or ""."""
    return next((found["samples"][name]["status"] for found in result["rounds"]
                 if name in found["samples"] and found["samples"][name]["status"]), "")


def interval(ratios):
    """Median and the ends of its interval."""
    middle = float(numpy.median(ratios))
    if len(ratios) < 2 or numpy.ptp(ratios) == 0:
        return middle, float(min(ratios)), float(max(ratios))
    ends = stats.bootstrap((ratios,), numpy.median, n_resamples=RESAMPLES, method="percentile", vectorized=True, axis=0,
                           random_state=SEED).confidence_interval
    return middle, float(ends.low), float(ends.high)


def ratio(result, name, base, metric):
    """Interval of name / base; None if either failed."""
    above, below = values(result, name, metric), values(result, base, metric)
    return None if above is None or below is None else interval(above / below)


def peers(result):
    return [name for name in result["rounds"][0]["samples"] if name not in OURS]


def best_peer(result, metric):
    """The allocator with the smallest median, ours left out if there is any other; None if all failed."""
    names = peers(result) or list(result["rounds"][0]["samples"])
    medians = {name: float(numpy.median(found)) for name in names if (found := values(result, name, metric)) is not None}
    return min(medians, key=medians.get) if medians else None


def noise(result, metric):
    """How far from 1 the pair of equal libraries came out, interval included; None without the pair."""
    found = ratio(result, OURS[1], OURS[0], metric)
    return max(abs(end - 1) for end in found) if found else None


def differs(found, floor):
    """Whether the ratio's whole interval lies beyond 1 and the noise."""
    return found is not None and (found[1] > 1 + (floor or 0) or found[2] < 1 - (floor or 0))


def widest(rounds):
    """Half the width of the widest interval of time, of each allocator against the first that never failed."""
    result = {"rounds": rounds}
    names = [name for name in rounds[0]["samples"] if values(result, name, "time") is not None]
    found = [ratio(result, name, names[0], "time") for name in names[1:]]
    return max(((high - low) / 2 for _, low, high in found), default=0.0)


def geometric(results, name, base, metric):
    """Geometric mean over the benchmarks of name / base (base: a name or "best"), with its interval, and how many
    benchmarks it is of. Resamples the rounds of each benchmark."""
    logs = []
    random = numpy.random.default_rng(SEED)
    for result in results.values():
        against = best_peer(result, metric) if base == "best" else base
        above, below = values(result, name, metric), against and values(result, against, metric)
        if above is None or below is None:
            continue
        ratios = numpy.log(above / below)
        picks = random.integers(0, len(ratios), (RESAMPLES, len(ratios)))
        logs.append(numpy.append(numpy.median(ratios[picks], axis=1), numpy.median(ratios)))
    if not logs:
        return None
    means = numpy.exp(numpy.mean(logs, axis=0))
    low, high = numpy.percentile(means[:-1], [2.5, 97.5])
    return float(means[-1]), float(low), float(high), len(logs)


def change(before, after, name, metric):
    """Interval of after / before of two files of samples, each relative to glibc in its own rounds if that was run."""
    found = []
    for result in (before, after):
        mine, base = values(result, name, metric), values(result, "glibc", metric) if name != "glibc" else None
        if mine is None:
            return None
        found.append(mine / base if base is not None else mine)
    random = numpy.random.default_rng(SEED)
    medians = [numpy.median(rows[random.integers(0, len(rows), (RESAMPLES, len(rows)))], axis=1) for rows in found]
    low, high = numpy.percentile(medians[1] / medians[0], [2.5, 97.5])
    return float(numpy.median(found[1]) / numpy.median(found[0])), float(low), float(high)
