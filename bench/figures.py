# SPDX-License-Identifier: MIT
"""From samples to figures: medians of per-round ratios with bootstrap intervals, the noise floor, geometric means.

All ratios are of runs of the same round, so that what the machine did in that minute falls out: what is resampled are
ratios, so the runs of a round stay together. Intervals are 95 %, percentile bootstrap over rounds (scipy.stats.bootstrap).
With fewer than five rounds even the smallest and the largest do not hold the median that often: then they are Student's, of
the logarithms (scipy.stats.t). One round has a figure, but an interval without ends: it tells no difference and takes no
part in means.

`result` is one benchmark of the document (document.py), `results` all of them by name."""
import functools
import math

import numpy
from scipy import stats

METRICS = ("time", "cpu", "peak", "average", "faults", "held")
HELD = {"held-per-floor": "pages with a live byte", "held-per-live": "live bytes",  # what loads say in %, and of what
        "held-per-peak": "bytes live at the peak"}
MOMENTS = ("held-1s", "held-3s", "held-5s")  # the same so long after a peak: metrics of conditions
TOLD = ("held", *MOMENTS)                    # metrics that only some loads have
PAIR = ("myalloc", "copy")  # the second is a copy of the first: what differs between them is noise
FLOOR_LEAST = 0.01          # no smaller difference is called one, however narrow the intervals
PEAK_GRAIN = 128            # KiB: each CPU keeps back up to 32 pages from the kernel's count of a process
RESAMPLES = 2000
UPPER = 0.975        # quantile at the upper end of a 95 % interval
FEW = 5              # rounds; below, Student's
WIDEST = 1000.0      # times or parts; no interval is shown wider
FAILED_MOST = 0.25   # of the benchmarks; an allocator that fails on more has no means, and takes no benchmark from others'
LOOKS_LEAST = 8      # with fewer an average over time means nothing
SEED = 12345


def held(sample, metric):
    """Resident memory over what must stay, in parts, over time or at one moment; None if the load does not say it."""
    said = [sample.figures[name][0] for name in (HELD if metric == "held" else [metric]) if name in sample.figures]
    return said[0] / 100 if said else None


def amount(result, sample, metric):
    """The metric of one run, None if there is none. Where a load runs for a fixed time, time and CPU time are those of one
    operation."""
    if metric in TOLD:
        return held(sample, metric)
    rate = sample.figures.get("rate", (0,))[0]
    if metric == "time":
        return 1 / rate if rate else sample.elapsed
    if metric == "cpu":
        used = sample.user + sample.system
        return used / (rate * sample.elapsed) if rate else used
    if metric == "peak":
        return sample.tree if result.tree else sample.peak
    if metric == "average":
        return sample.peak if result.short else sample.average
    return sample.minor


def has_rate(result):
    return any("rate" in sample.figures for found in result.rounds for sample in found.samples.values())


def values(result, name, metric):
    """One value a round; None if any of the allocator's runs failed, or the benchmark does not have that metric."""
    samples = [found.samples.get(name) for found in result.rounds]
    if any(sample is None or sample.status for sample in samples):
        return None
    amounts = [amount(result, sample, metric) for sample in samples]
    return None if None in amounts else numpy.array([max(value, 1e-12) for value in amounts])


def has(result, metric):
    """Whether the benchmark has that metric, as far as can be told: not where all runs failed."""
    return any(values(result, name, metric) is not None for name in result.rounds[0].samples)


def failure(result, name):
    """What went wrong first, and how often; "" if nothing did."""
    said = [found.samples[name].status for found in result.rounds if name in found.samples]
    bad = [status for status in said if status]
    return f"{bad[0]} ({len(bad)} of {len(said)} runs)" if bad else ""


def resampled(rows, statistic):
    """Ends of the interval of a statistic, each of the rows resampled on its own."""
    found = stats.bootstrap(rows, statistic, n_resamples=RESAMPLES, method="percentile", vectorized=True,
                            random_state=numpy.random.default_rng(SEED)).confidence_interval
    return float(found.low), float(found.high)


def row_of(ratios):
    """So that results of them can be kept."""
    return tuple(map(float, ratios))


def student(ratios):
    """Ends of Student's interval of a few ratios, on the scale of logarithms; a single one says nothing of its spread."""
    logs = numpy.log(ratios)
    half = math.log(WIDEST)
    if len(logs) > 1:
        half = min(stats.t.ppf(UPPER, len(logs) - 1) * stats.sem(logs), half)
    return float(numpy.exp(logs.mean() - half)), float(numpy.exp(logs.mean() + half))


@functools.lru_cache(maxsize=None)
def interval_of(ratios):
    """Median and the ends of its bootstrap interval; of a single ratio, which cannot be resampled, without width."""
    middle = float(numpy.median(ratios))
    return (middle, *resampled((ratios,), numpy.median)) if len(ratios) > 1 else (middle, middle, middle)


def interval(ratios):
    """Median and the ends of its interval."""
    middle, low, high = interval_of(row_of(ratios))
    if len(ratios) < FEW:
        ends = student(ratios)
        low, high = min(low, ends[0]), max(high, ends[1])
    return middle, low, high


def ratio(result, name, base, metric):
    """Interval of name / base; None if either failed."""
    above, below = values(result, name, metric), values(result, base, metric)
    return None if above is None or below is None else interval(above / below)


def has_ends(found):
    """Whether the interval says anything."""
    return found[2] / found[1] < WIDEST


def averaged(results):
    """The benchmarks that means are of: those of more than one round. A pair of calls is no program: beside others, pairs
    have a mean of their own."""
    often = {key: result for key, result in results.items() if len(result.rounds) > 1}
    others = {key: result for key, result in often.items() if result.group != "pairs"}
    return others or often


def failed(results, name):
    """The benchmarks on which a run of the allocator failed."""
    return [key for key, result in results.items() if failure(result, name)]


def compared(results, metric):
    """The benchmarks that means of the metric are of, the same for all allocators: those on which none failed; and the
    allocators that have no means, as they failed too often, with the benchmarks. What is held over time is the question of
    loads that run once: only means of that are of such, too."""
    if metric in TOLD:
        asked = {key: result for key, result in results.items() if has(result, metric)}
    else:
        asked = averaged(results)
    failures = {name: failed(asked, name) for name in names_of(asked)}
    out = {name: keys for name, keys in failures.items() if len(keys) > FAILED_MOST * len(asked)}
    gone = {key for name, keys in failures.items() if name not in out for key in keys}
    return {key: result for key, result in asked.items() if key not in gone}, out


def names_of(results):
    return list(dict.fromkeys(name for result in results.values() for name in result.rounds[0].samples))


def peers(result):
    """All but ours; all if there are no others."""
    names = list(result.rounds[0].samples)
    return [name for name in names if name not in PAIR] or names


def best_peer(result, metric):
    """The allocator with the smallest median, ours left out if there is any other; None if all failed."""
    medians = {name: float(numpy.median(found)) for name in peers(result)
               if (found := values(result, name, metric)) is not None}
    return min(medians, key=medians.get) if medians else None


def to_best(result, name, metric):
    best = best_peer(result, metric)
    return ratio(result, name, best, metric) if best else None


def pair_of(names):
    """The two columns that are equal: myalloc and its copy, else the system's malloc run twice."""
    base = PAIR[0] if PAIR[0] in names else "glibc"
    return (base, PAIR[1]) if PAIR[1] in names and base in names else None


def own_noise(result, metric):
    """How far from 1 the equal pair came out, interval included; None without figures of it."""
    pair = pair_of(result.rounds[0].samples)
    above, below = (values(result, name, metric) for name in reversed(pair)) if pair else (None, None)
    if above is None or below is None:
        return None
    return max(abs(end - 1) for end in interval_of(row_of(above / below)))


def is_short(result):
    """Whether the runs of some allocator are too short for an average of memory over time: the peak stands for it then."""
    looks = {}
    for found in result.rounds:
        for name, sample in found.samples.items():
            if not sample.status:
                looks.setdefault(name, []).append(LOOKS_LEAST if sample.looks is None else sample.looks)
    return any(numpy.median(counts) < LOOKS_LEAST for counts in looks.values())


def grain(result, metric):
    """What the kernel's counting may make of equal peaks, as part of the smallest."""
    if metric not in ("peak", "average") or result.tree or metric == "average" and not result.short:
        return 0.0
    known = [found for name in names_of({0: result}) if (found := values(result, name, metric)) is not None]
    return PEAK_GRAIN / min(float(numpy.median(found)) for found in known) if known else 0.0


def set_noise(results):
    """Gives each result `short`, and its `noise`, the difference below which nothing is called one: its own pair's, the
    median of all pairs' (one pair may agree by luck), the grain of what is measured, FLOOR_LEAST, whichever is the
    largest."""
    for result in results.values():
        result.short = is_short(result)
    for metric in METRICS:
        own = {key: own_noise(result, metric) for key, result in results.items()}
        known = [noise for noise in own.values() if noise is not None]
        usual = float(numpy.median(known)) if known else 0.0
        for key, result in results.items():
            result.noise[metric] = max(own[key] or 0.0, usual, grain(result, metric), FLOOR_LEAST)


def beyond(found, floor):
    """-1 or 1 if the ratio's whole interval lies below or above 1 and beyond the noise; else 0."""
    if found is None or found[1] <= 1 + floor and found[2] >= 1 - floor:
        return 0
    return 1 if found[1] > 1 + floor else -1


def differs(result, found, metric):
    return beyond(found, result.noise[metric])


def widest(result):
    """Half the width of the widest interval of time, of each allocator against the first that never failed."""
    names = [name for name in result.rounds[0].samples if values(result, name, "time") is not None]
    found = [ratio(result, name, names[0], "time") for name in names[1:]]
    return max(((high - low) / 2 / middle for middle, low, high in found), default=0.0)


def widening(count, few):
    """How much further than a resample of so many rounds the truth may lie. Resamples of few rounds vary too little: the
    spread of those of n is larger by n/(n-1) in truth, and known as badly as Student's distribution says for all the few
    rounds (`few`: the numbers below FEW) of a mean together."""
    if count >= FEW:
        return 1.0
    freedom = sum(number - 1 for number in few)
    return stats.t.ppf(UPPER, freedom) / stats.norm.ppf(UPPER) * (count / (count - 1)) ** 0.5


@functools.lru_cache(maxsize=None)
def mean_of(terms):
    """Geometric mean over benchmarks, its interval (without ends if one has a single round), and how many they are. A term
    is one benchmark's rows of ratios, one a round: (row,), or (row, base) where the median of the second divides that of the
    first.

    scipy.stats.bootstrap resamples the rounds of each row independently. It has nothing for rows too short for that, so
    the statistic is the mean of the deviations from the medians, each widened for its number of rounds."""
    counts = [min(map(len, term)) for term in terms]
    few = [count for count in counts if count < FEW]
    rows = [numpy.log(row) for term in terms for row in term]
    medians = [numpy.median(row) for row in rows]
    parts = [(-1) ** i / len(terms) for term in terms for i in range(len(term))]
    middle = sum(part * median for part, median in zip(parts, medians))
    if min(counts) == 1:
        return math.exp(middle), math.exp(middle) / WIDEST, math.exp(middle) * WIDEST, len(terms)
    widths = [widening(count, few) for count, term in zip(counts, terms) for _ in term]

    def statistic(*resamples, axis):
        return middle + sum(part * width * (numpy.median(resample, axis=axis) - median)
                            for resample, part, width, median in zip(resamples, parts, widths, medians))

    low, high = resampled(rows, statistic)
    return math.exp(middle), math.exp(low), math.exp(high), len(terms)


def geometric(results, name, base, metric):
    """Geometric mean over the benchmarks of name / base (base: a name or "best"), its interval, and how many benchmarks
    it is of; None if of none, or if one of the two failed too often."""
    common, out = compared(results, metric)
    terms = []
    for result in common.values() if not {name, base} & out.keys() else ():
        against = best_peer(result, metric) if base == "best" else base
        above, below = values(result, name, metric), against and values(result, against, metric)
        if above is not None and below is not None:
            terms.append((row_of(above / below),))
    return mean_of(tuple(terms)) if terms else None


def mean_noise(results, metric):
    """How far from 1 the equal pair's geometric mean came out, interval included: no smaller difference of means is one."""
    pair = pair_of(names_of(results))
    found = geometric(results, *reversed(pair), metric) if pair else None
    return max([FLOOR_LEAST] + [abs(end - 1) for end in found[:3]]) if found and has_ends(found) else FLOOR_LEAST


def relative(result, name, metric):
    """Values of one allocator, relative to glibc in its own rounds if that took part, as ratios; None if one failed."""
    mine = values(result, name, metric)
    if name == "glibc" or "glibc" not in names_of({0: result}):
        return mine
    base = values(result, "glibc", metric)
    return None if mine is None or base is None else mine / base


def change(before, after, name, metric):
    """Interval of after / before of two documents' results of one benchmark; None if either failed."""
    rows = [relative(result, name, metric) for result in (after, before)]
    if any(row is None for row in rows):
        return None
    if any(len(row) < FEW for row in rows):
        new, old = map(interval, rows)
        return new[0] / old[0], new[1] / old[2], new[2] / old[1]
    return mean_of((tuple(map(row_of, rows)),))[:3]


def change_mean(before, after, name, metric):
    """The same as geometric mean over the benchmarks that both have, with their number."""
    terms = []
    for key in sorted(averaged(before).keys() & averaged(after).keys()):
        rows = [relative(result[key], name, metric) for result in (after, before)]
        if all(row is not None for row in rows):
            terms.append(tuple(map(row_of, rows)))
    return mean_of(tuple(terms)) if terms else None
