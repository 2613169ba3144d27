# SPDX-License-Identifier: MIT
"""Two files of samples: what changed from one to the other, and what of it is beyond intervals and noise."""
import figures
from figures import METRICS, PAIR, names_of


def mark(found, floor):
    return {-1: "-", 0: " ", 1: "+"}[figures.beyond(found, floor)] if found else " "


def cell(found, floor):
    return f"{found[0]:.3f} [{found[1]:.3f} {found[2]:.3f}]{mark(found, floor)}" if found else "failed"


def floor_of(pair, metric):
    return max(result["noise"][metric] for result in pair)


def mean_floor(before, after, metric):
    return max(figures.mean_noise(results, metric) for results in (before, after))


def print_row(title, cells):
    print(f"{title:24.24}" + "".join(f"{text:>23}" for text in cells))


def print_allocator(before, after, name, keys):
    print(f"\n{name}")
    print_row("", METRICS)
    for key in keys:
        pair = before[key], after[key]
        if all(name in names_of({key: result}) for result in pair):
            print_row(key, (cell(figures.change(*pair, name, metric), floor_of(pair, metric)) for metric in METRICS))
    means = {metric: figures.change_mean({key: before[key] for key in keys}, {key: after[key] for key in keys}, name, metric)
             for metric in METRICS}
    if len(keys) > 1:
        print_row("geometric mean", (cell(means[metric], mean_floor(before, after, metric)) for metric in METRICS))


def rows(names, everything):
    """Ours in full; of the others, which did not change, the means show how far the two runs can be compared."""
    own = [name for name in names if name == PAIR[0]]
    return names if everything or not own else own


def print_others(before, after, names, keys):
    print("\nthe others, geometric means: as they did not change, how far the two runs can be compared")
    for name in names:
        found = [figures.change_mean({key: before[key] for key in keys}, {key: after[key] for key in keys}, name, metric)
                 for metric in METRICS]
        print_row(name, (cell(one, mean_floor(before, after, metric)) for one, metric in zip(found, METRICS)))


def print_change(first, second, everything=False):
    """Whether there was anything to compare."""
    before, after = first["benchmarks"], second["benchmarks"]
    keys = [key for key in before if key in after]
    names = [name for name in names_of(before) if name in names_of(after)]
    for title, document in (("before", first), ("after", second)):
        print(f"{title}: " + "; ".join(str(document["machine"].get(key, "?"))
                                       for key in ("library", "date", "kernel", "processor")))
    if not keys or not names:
        print("the two files have no benchmark with an allocator in common")
        return False
    shown = rows(names, everything)
    for name in shown:
        print_allocator(before, after, name, keys)
    if others := [name for name in names if name not in shown and name != "glibc"]:
        print_others(before, after, others, keys)
    alone = [key for key in [*before, *after] if key not in keys]
    print("\nafter / before with its 95 % interval, each relative to glibc in its own rounds (glibc itself: absolute);"
          "\n`-` less, `+` more beyond interval and noise." + (f" Only in one of them: {', '.join(alone)}." if alone else ""))
    return True
