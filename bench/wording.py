# SPDX-License-Identifier: MIT
"""What the report on the terminal and the page say in the same words: titles, units, sentences on what was measured."""
import numpy

import figures
from figures import PAIR

TITLES = {"time": "Time", "cpu": "CPU time", "peak": "Peak memory", "average": "Average memory over time",
          "faults": "Page faults (minor)", "held": "Memory held over time"}
TOLERATED = {"time": 1.10, "peak": 1.15, "average": 1.15, "held": 1.15}  # more than so many times the best is a miss

EXPLAINED = "What they say of themselves, at the end of one more run, in MiB"
ACCOUNT = {"held": "held", "live": "in use", "free": "free", "own": "own data", "returned": "without memory", "peak": "peak",
           "blocks": "blocks got"}  # field of an Account -> head of its column
ACCOUNT_MEANS = (
    "held: memory that it has of the OS; in use: blocks, their sizes rounded; free: held, but neither in use nor its own data; "
    "without memory: addresses that it keeps; peak: the most that it took at once; -: it does not tell. Each counts in its own "
    "way: myalloc what is resident, mimalloc what it committed.")


def amount_text(value, metric, rate=False):
    """A median with its unit: KiB for memory, seconds for times; what is held, in parts of what must stay."""
    if metric == "held":
        return f"{value:.2f}"
    if metric in ("peak", "average"):
        return f"{value / 1024:.1f} MiB"
    if metric == "faults":
        return f"{value / 1000:.1f} k" if value >= 1000 else f"{value:.0f}"
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9)):
        if value * factor >= 1 or unit == "ns":
            return f"{value * factor:.3g} {unit}" + ("/op" if rate else "")


def median_text(result, found, metric):
    """The median of an allocator's values."""
    return amount_text(float(numpy.median(found)), metric, figures.has_rate(result) and metric in ("time", "cpu"))


def best_text(result, metric):
    best = figures.best_peer(result, metric)
    return median_text(result, figures.values(result, best, metric), metric) if best else "all failed"


def interval_text(found, digits=2):
    return f"{found[1]:.{digits}f} to {found[2]:.{digits}f}" if figures.has_ends(found) else "no interval: too few rounds"


def doubt(result, found, metric):
    """What speaks against a miss; "" if nothing does."""
    if not figures.has_ends(found):
        return ""
    if not figures.differs(result, found, metric):
        return f"; within the noise of {result.noise[metric]:.0%}" if found[1] > 1 else "; cannot be told from it"
    return "" if found[1] > TOLERATED[metric] else "; its interval reaches below"


def groups_of(results):
    """Group -> its results, in the order of the benchmarks."""
    groups = {}
    for key, result in results.items():
        groups.setdefault(result.group, {})[key] = result
    return groups


def misses(results, name=PAIR[0]):
    """(benchmark, metric, interval of the ratio to the best, best) of all that is beyond what is tolerated."""
    found = []
    for key, result in results.items():
        for metric, most in TOLERATED.items():
            ratio = figures.to_best(result, name, metric)
            if ratio and ratio[0] > most:
                found.append((key, metric, ratio, figures.best_peer(result, metric)))
    return found


def held(result):
    """Resident memory over what must stay: rows of when, over what, and allocator -> median over rounds."""
    found = []
    for figure, (_, by) in all_figures(result).items():
        parts = {name: value / 100 for name, value in by.items()}
        if figure in figures.HELD:
            found.insert(0, ("over time", figures.HELD[figure], parts))
        elif figure in figures.MOMENTS:
            found.append((f"after {figure.removeprefix('held-')}", "", parts))
    return found


def said_figures(result):
    """What the load printed beyond its rate, and beyond what has a table of its own: name -> (unit, allocator -> median)."""
    return {figure: said for figure, said in all_figures(result).items()
            if figure not in ("rate", *figures.HELD, *figures.MOMENTS)}


def all_figures(result):
    found = {}
    for name in result.rounds[0].samples:
        for one in result.rounds:
            for figure, (value, unit) in one.samples[name].figures.items():
                if not one.samples[name].status:
                    found.setdefault(figure, (unit, {}))[1].setdefault(name, []).append(value)
    return {figure: (unit, {name: float(numpy.median(all_)) for name, all_ in by.items()})
            for figure, (unit, by) in found.items()}


def steadiness(result, name):
    """Average memory of the first half of the run in MiB, and that of the second over it, medians of the rounds; "-" if
    the runs were too short or failed."""
    halves = [one.samples[name].halves for one in result.rounds if one.samples[name].halves]
    if not halves:
        return "-"
    return f"{numpy.median([first for first, _ in halves]) / 1024:.1f} x {numpy.median([b / a for a, b in halves]):.3f}"


def account_text(field, figure):
    if figure is None:
        return "-"
    return f"{figure}" if field == "blocks" else f"{figure / 1024:.1f}"


def account_notes(accounts):
    """What the columns mean, and a line of each allocator: what most of its memory is, or why nothing is known."""
    if not accounts:
        return []
    told = [ACCOUNT_MEANS] if any(not account.status for account in accounts.values()) else []
    silent = {}
    for name, account in accounts.items():
        which = f", in the process of {account.processes} that held the most" if account.processes > 1 else ""
        if account.status:
            silent.setdefault(account.status, []).append(name)
        elif account.reason or which:
            told.append(f"{name}{which}: {account.reason or 'only these'}")
    return told + [f"{', '.join(names)}: {status}" for status, names in silent.items()]


# ---- sentences ------------------------------------------------------------------------------------------------------
def noise_text(results):
    noises = [noise for result in results.values() if (noise := figures.own_noise(result, "time")) is not None]
    if not noises:
        return "No pair of equal libraries took part: differences below 1 % are taken for noise."
    return (f"Noise of time (two columns of equal libraries): median {numpy.median(noises):.1%}, worst {max(noises):.1%} of "
            "a benchmark. A difference within it is marked = and means nothing; memory has its own noise.")


def once_text(results):
    """Which benchmarks have one round, and what that means; ""."""
    once = [key for key in results if len(results[key].rounds) == 1]
    return (f"One round, which tells no difference and takes no part in means but those of memory held: {', '.join(once)}."
            if once else "")


def uncounted_texts(results):
    """Which benchmarks no mean is of because an allocator failed on them, and which allocators have no means."""
    common, out = figures.compared(results, "time")
    by = {name: [key for key in figures.failed(figures.averaged(results), name) if key not in common]
          for name in figures.names_of(results) if name not in out}
    kept = [f"Not in the means of any allocator, as {name} failed: {', '.join(keys)}." for name, keys in by.items() if keys]
    return kept + [f"No means of {name}, which failed on {len(keys)} of {len(figures.averaged(results))} benchmarks: "
                   f"{', '.join(keys)}." for name, keys in out.items()]


def above_peak(result):
    """The allocators whose average is shown as more than their peak."""
    found = {metric: {name: figures.values(result, name, metric) for name in figures.names_of({0: result})}
             for metric in ("average", "peak")}
    shown = {metric: {name: round(float(numpy.median(one)) / 1024, 1) for name, one in by.items() if one is not None}
             for metric, by in found.items()}
    return [name for name, mib in shown["average"].items() if mib > shown["peak"][name]]


def most_processes(result):
    """That were seen at once; None if the samples are of a launcher that did not count them."""
    return max((sample.processes or 0 for one in result.rounds for sample in one.samples.values()), default=0) or None


def above_peak_text(result):
    """Why the average is more than the peak where it is, and what measures both alike; ""."""
    names, processes = above_peak(result), most_processes(result)
    if not names:
        return ""
    which = "" if len(names) == len(figures.names_of({0: result})) else f" with {', '.join(names)}"
    count = f", {processes} at the most" if processes else ""
    hint = "" if result.client else " With --shell both are of all."
    return (f"Average above peak{which}: the average is of all processes together{count}, the peak of the largest single one."
            f"{hint}")


def memory_texts(results):
    short = [key for key, result in results.items() if result.short]
    trees = [key for key, result in results.items() if result.tree]
    above = [key for key, result in results.items() if above_peak(result)] if len(results) > 1 else []
    return [f"Average memory above the peak: {', '.join(above)}. The average is of all processes together, the peak of the "
            "largest single one." if above else "",
            f"Too short for an average of memory over time, so the peak stands for it: {', '.join(short)}." if short else "",
            f"Peak memory of {', '.join(trees)}: the largest sum of proportional set sizes of all its processes that was seen; "
            "of the others: the kernel's, of the largest process." if trees else ""]


def server_texts(results):
    return [f"Time is that of the client ({result.client}). CPU time, memory and page faults are the server's, from its start "
            "to its end." for result in results.values() if result.client]


def left_out_texts(left_out):
    """A line for each reason: it, and all that it kept from being measured."""
    reasons = dict.fromkeys(left_out.values())
    return [f"Left out, {reason}: {', '.join(key for key, why in left_out.items() if why == reason)}" for reason in reasons]


def notes(document):
    """What must be known to read the figures, a sentence a line; then what was left out."""
    results, said = document.benchmarks, []
    if results:
        dropped = sum(len(result.dropped) for result in results.values())
        said = [noise_text(results), once_text(results), *uncounted_texts(results), *server_texts(results),
                *memory_texts(results),
                f"{dropped} rounds dropped, because the host took more than 2 % of their time." if dropped else ""]
    return [*filter(None, said), *left_out_texts(document.left_out)]


def failures(results):
    """(benchmark, allocator, what went wrong)."""
    return [(key, name, wrong) for key, result in results.items() for name in figures.names_of({key: result})
            if (wrong := figures.failure(result, name))]
