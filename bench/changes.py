# SPDX-License-Identifier: MIT
"""Two files of samples: what changed from one to the other, and what of it is beyond intervals and noise."""
import figures
import report
from figures import METRICS, PAIR, names_of
from tables import Cell, Table

KINDS = {-1: "best", 0: "", 1: "far"}  # of a cell: all metrics are the better the smaller


def cell(found, floor, failed=True):
    if not found:
        return Cell("failed", "failed") if failed else Cell("-")
    sign = figures.beyond(found, floor)
    return Cell(f"{found[0]:.3f} [{found[1]:.3f} {found[2]:.3f}]{'- +'[sign + 1]}", KINDS[sign])


def floor_of(pair, metric):
    return max(result.noise[metric] for result in pair)


def common(before, after, keys):
    return [{key: results[key] for key in keys} for results in (before, after)]


def mean_cells(before, after, name, keys):
    """Geometric means over the benchmarks `keys`, a metric each."""
    pair = common(before, after, keys)
    floors = {metric: max(figures.mean_noise(results, metric) for results in (before, after)) for metric in METRICS}
    return [cell(figures.change_mean(*pair, name, metric), floors[metric], failed=False) for metric in METRICS]


def failed_in(pair, name):
    """The benchmarks on which the allocator, or glibc, by which it is measured, failed in one of the two."""
    return [key for key in pair[0] if any(figures.failure(results[key], one) for results in pair for one in (name, "glibc"))]


def without(pair, name):
    """What the means of the allocator are not of."""
    keys = failed_in(pair, name)
    return [f"The means of {name} are not of {', '.join(keys)}, where it or glibc failed in one of the two."] if keys else []


def of_allocator(before, after, name, keys):
    table = Table(name, ["", *METRICS])
    for key in keys:
        pair = before[key], after[key]
        if all(name in names_of({key: result}) for result in pair):
            failed = bool(failed_in([{key: result} for result in pair], name))
            table.add(key, *(cell(figures.change(*pair, name, metric), floor_of(pair, metric), failed) for metric in METRICS))
    if len(keys) > 1:
        table.add("geometric mean", *mean_cells(before, after, name, keys), kind="mean")
        table.notes = without(common(before, after, keys), name)
    return table


def of_others(before, after, names, keys):
    table = Table("the others, geometric means: as they did not change, how far the two runs can be compared", ["", *METRICS])
    for name in names:
        table.add(name, *mean_cells(before, after, name, keys))
        table.notes += without(common(before, after, keys), name)
    return table


def in_full(names, everything):
    """Ours in full; of the others, which did not change, the means show how far the two runs can be compared."""
    own = [name for name in names if name == PAIR[0]]
    return names if everything or not own else own


def print_change(first, second, everything=False):
    """Whether there was anything to compare."""
    console, before, after = report.new_console(), first.benchmarks, second.benchmarks
    keys = [key for key in before if key in after]
    names = [name for name in names_of(before) if name in names_of(after)]
    for title, document in (("before", first), ("after", second)):
        console.print(f"{title}: " + "; ".join(str(document.machine.get(key, "?"))
                                               for key in ("library", "date", "kernel", "processor")))
    if not keys or not names:
        console.print("the two files have no benchmark with an allocator in common")
        return False
    shown = in_full(names, everything)
    for name in shown:
        report.print_table(console, of_allocator(before, after, name, keys))
    if others := [name for name in names if name not in shown and name != "glibc"]:
        report.print_table(console, of_others(before, after, others, keys))
    alone = [key for key in [*before, *after] if key not in keys]
    console.print("\nafter / before with its 95 % interval, each relative to glibc in its own rounds (glibc itself: absolute);"
                  "\n`-` less, `+` more beyond interval and noise."
                  + (f" Only in one of them: {', '.join(alone)}." if alone else ""))
    return True
