# SPDX-License-Identifier: MIT
"""The tables of the report, as cells that the terminal (report.py) and the page (page.py) only have to draw."""
import dataclasses

import figures
import wording
from allocators import FLOOR
from figures import METRICS, PAIR, differs, names_of
from wording import TITLES, TOLERATED

SHOWN = ("time", "peak", "average", "faults", "held")              # metrics that have a table of all benchmarks
BLOCKS = (("time", "cpu"), ("peak", "average", "faults", "held"))  # of one benchmark's: what fits beside each other
STEADY = "Memory over long runs: average of the first half of the run in MiB, times what the second took of it"
HELD = "Resident memory over what must stay"
COUNTERS = ("locks", "waits", "rmws", "oscalls")


@dataclasses.dataclass
class Cell:
    text: str
    kind: str = ""  # "best", "far" from it, the "same" as what it is compared with, "failed"; "least" of one benchmark's column
    hint: str = ""  # on the page, when it is pointed at
    long: str = ""  # on the terminal in place of the text


@dataclasses.dataclass
class Table:
    title: str
    head: list
    rows: list = dataclasses.field(default_factory=list)   # of (kind, cells); kind "", "group" (its only cell) or "mean"
    notes: list = dataclasses.field(default_factory=list)  # lines below
    left: tuple = (0,)                                     # columns of text; the others are of numbers

    def add(self, *cells, kind=""):
        self.rows.append((kind, [cell if isinstance(cell, Cell) else Cell(str(cell)) for cell in cells]))


def hint_of(found, base):
    ends = wording.interval_text(found, 3) if figures.has_ends(found) else "unknown"
    return f"of {base}, 95 %: {ends}" + (f"; {found[3]} benchmarks" if len(found) > 3 else "")


def cell(result, name, metric):
    """`1.02= 0.48`: ratio to the best, = if it cannot be told from it, ratio to glibc."""
    if wrong := figures.failure(result, name):
        return Cell("FAILED", "failed", wrong)
    found, to_glibc = figures.to_best(result, name, metric), figures.ratio(result, name, "glibc", metric)
    if not found:
        return Cell("-")
    best = figures.best_peer(result, metric)
    same = name != best and not differs(result, found, metric)
    kind = "same" if same else "best" if found[0] <= 1 else "far" if found[0] > TOLERATED.get(metric, 1.15) else ""
    text = f"{found[0]:.2f}{'=' if same else ''}"
    hint = hint_of(found, best) + (f"; {to_glibc[0]:.3f} {hint_of(to_glibc, 'glibc')}" if to_glibc else "")
    return Cell(text, kind, hint, f"{text:5}" + (f" {to_glibc[0]:.2f}" if to_glibc else ""))


def no_mean(results, name, metric):
    """Why there is none: too many runs failed, or the metric is not there."""
    keys = figures.compared(results, metric)[1].get(name)
    return Cell(f"failed {len(keys)}", "failed", f"failed on {', '.join(keys)}") if keys else Cell("-")


def mean(results, name, base, metric, floor, itself=False):
    """`0.874±0.186=`: a geometric mean, = if it cannot be told from 1, `?` for the interval if there is none."""
    found = figures.geometric(results, name, base, metric)
    if not found:
        return no_mean(results, name, metric)
    same = not itself and not figures.beyond(found, floor)
    half = f"{(found[2] - found[1]) / 2:.3f}" if figures.has_ends(found) else "?"
    return Cell(f"{found[0]:.3f}±{half}{'=' if same else ''}", "same" if same else "", hint_of(found, base),
                f"{found[0]:.3f}±{half}{'=' if same else ' '}")


def group_mean(results, name, metric, floor):
    """Of a group, to the best and to glibc."""
    found, to_glibc = (figures.geometric(results, name, base, metric) for base in ("best", "glibc"))
    made = mean(results, name, "best", metric, floor)
    if found:
        made.long = f"{found[0]:.2f}{'=' if made.kind else ' '}" + (f" {to_glibc[0]:.2f}" if to_glibc else "")
    return made


def having(results, metric):
    """The benchmarks that have a row in the metric's table."""
    if metric not in figures.TOLD:
        return results
    return {key: result for key, result in results.items() if figures.has(result, metric)}


def shown(results):
    """Metrics of which there is a table."""
    return [metric for metric in SHOWN if having(results, metric)]


def by_metric(results, metric):
    """All benchmarks: a row each, an allocator a column."""
    results = having(results, metric)
    names, groups = names_of(results), wording.groups_of(results)
    table = Table(TITLES[metric], ["", "best", *names])
    for group, members in groups.items():
        if len(groups) > 1:
            table.add(group, kind="group")
        for key, result in members.items():
            table.add(Cell(key, hint=result.about), wording.best_text(result, metric),
                      *(cell(result, name, metric) for name in names))
        if len(groups) > 1 and len(members) > 1:
            floor = figures.mean_noise(members, metric)
            table.add("   geometric mean", "", *(group_mean(members, name, metric, floor) for name in names), kind="mean")
    if len(results) > 1:
        add_means(table, results, names, metric)
    return table


def add_means(table, results, names, metric):
    floor, all_ = figures.mean_noise(results, metric), len(results if metric in figures.TOLD else figures.averaged(results))
    for base in ("best", "glibc"):
        table.add("ALL, geometric mean", f"to {base}",
                  *(mean(results, name, base, metric, floor, name == base) for name in names), kind="mean")
    counts = [found[3] if (found := figures.geometric(results, name, "best", metric)) else 0 for name in names]
    if any(count != all_ for count in counts):
        table.add("  of how many", f"of {all_}", *counts)


def summary(document):
    """Allocators, with their versions, by metrics."""
    results, versions = document.benchmarks, {allocator.name: allocator.version for allocator in document.allocators}
    metrics = [metric for metric in METRICS if having(results, metric)]
    floors = {metric: figures.mean_noise(results, metric) for metric in metrics}
    table = Table("Summary: geometric means of ratios to the best of each benchmark, with 95 % intervals",
                  ["", "version", *(TITLES[metric] for metric in metrics)], left=(0, 1))
    for name in names_of(results):
        table.add(name, versions.get(name) or "unknown", *(mean(results, name, "best", metric, floors[metric])
                                                           for metric in metrics))
    table.notes = wording.uncounted_texts(results)
    return table


def against(results):
    """myalloc over each other allocator: who is the strongest rival as a whole."""
    others = [name for name in names_of(results) if name != PAIR[0]]
    table = Table("myalloc relative to each other allocator, geometric means over all benchmarks", ["", *others])
    for metric in shown(results):
        floor = figures.mean_noise(results, metric)
        table.add(TITLES[metric], *(against_mean(results, other, metric, floor) for other in others))
    return table


def against_mean(results, other, metric, floor):
    """That of myalloc over the other; the one of the two that failed too often is told."""
    made = mean(results, PAIR[0], other, metric, floor)
    return made if made.text != "-" else no_mean(results, other, metric)


def misses(results):
    tolerated = ", ".join(f"{most:.2f} ({metric})" for metric, most in TOLERATED.items())
    table = Table(f"Misses: where myalloc is worse than the best by more than {tolerated}", ["", "", "ratio", "of", "95 %"],
                  left=(0, 1, 3, 4))
    for key, metric, found, best in wording.misses(results):
        doubt = wording.doubt(results[key], found, metric)
        table.add(key, metric, f"{found[0]:.2f}", best, wording.interval_text(found) + doubt)
    if not table.rows:
        table.notes.append("none")
    return table


def said(results):
    names = names_of(results)
    table = Table("What the loads count themselves, medians", ["", "unit", *names])
    for key, result in results.items():
        for figure, (unit, by) in wording.said_figures(result).items():
            table.add(f"{key} {figure}", unit, *(f"{by[name]:.4g}" if name in by else "-" for name in names))
    return table


def held(results):
    """Of the loads that know what must stay: resident memory over that."""
    names = names_of(results)
    table = Table(HELD, ["", "", "over", *names], left=(0, 1, 2))
    for key, result in results.items():
        for when, over, by in wording.held(result):
            kinds = {name: "best" if value <= min(by.values()) else "" for name, value in by.items()}
            table.add(key if over else "", when, over,
                      *(Cell(f"{by[name]:.2f}", kinds[name]) if name in by else Cell("-") for name in names))
    return table


def steady(results):
    names = names_of(results)
    table = Table(STEADY, ["", *names])
    for key, result in results.items():
        if result.steady:
            table.add(key, *(wording.steadiness(result, name) for name in names))
    return table


def counters(results):
    table = Table("myalloc, debug build: per 1000 operations", ["", "locks", "waits", "atomic read-modify-writes", "OS calls"])
    for key, result in results.items():
        if result.counts and result.counts.status:
            table.notes.append(f"{key}: {result.counts.status}")
        elif result.counts:
            table.add(key, *(f"{getattr(result.counts, name):.3f}" for name in COUNTERS))
    return table


def instructions(counted):
    table = Table("Instructions of a malloc and its free, by callgrind: one block at a time / a hundred live", ["bytes"])
    if counted:
        table.head += map(str, counted.sizes)
        for name, found in counted.counts.items():
            if isinstance(found, str):
                table.notes.append(f"{name}: no figure: {found}")
            else:
                table.add(name, *(f"{one:.0f} / {many:.0f}" for one, many in found))
    return table


def explained(document):
    """What each allocator says of itself."""
    table = Table(wording.EXPLAINED, ["", *wording.ACCOUNT.values()])
    for name, account in (document.explained or {}).items():
        figures_of = [getattr(account, field) for field in wording.ACCOUNT]
        if any(figure is not None for figure in figures_of):
            table.add(name, *(wording.account_text(field, figure) for field, figure in zip(wording.ACCOUNT, figures_of)))
    table.notes = wording.account_notes(document.explained or {})
    return table


def exact(document):
    """What is counted instead of measured; without the empty ones."""
    results = document.benchmarks
    found = (held(results), said(results), steady(results), counters(results), instructions(document.instructions),
             explained(document))
    return [table for table in found if table.rows or table.notes]


# ---- one benchmark --------------------------------------------------------------------------------------------------
def one_cell(result, name, metric):
    """The median, its ratio to glibc with the interval, and - or + where it is surely less or more."""
    found = figures.values(result, name, metric)
    if found is None:
        return Cell("failed", "failed", figures.failure(result, name))
    text, ratio = wording.median_text(result, found, metric), figures.ratio(result, name, "glibc", metric)
    if name == "glibc" or not ratio:
        return Cell(text)
    sign = differs(result, ratio, metric)
    ends = f"({ratio[1]:.2f} {ratio[2]:.2f})" if figures.has_ends(ratio) else "(? ?)"
    return Cell(f"{text}  {ratio[0]:.2f}{'-=+'[sign + 1]} {ends}", {-1: "best", 0: "same", 1: "far"}[sign])


def mark_least(table, result, names, metrics):
    """The smallest of each column, if any is surely smaller than another: glibc, if all that differ from it are larger."""
    able = [(at, name) for at, name in enumerate(names) if name not in (PAIR[1], FLOOR)]
    for column, metric in enumerate(metrics, 1):
        cells = {name: table.rows[at][1][column] for at, name in able if not figures.failure(result, name)}
        less = [name for name, cell in cells.items() if cell.kind == "best"]
        if less:
            cells[min(less, key=lambda name: figures.ratio(result, name, "glibc", metric)[0])].kind = "least"
        elif "glibc" in cells and any(cell.kind == "far" for cell in cells.values()):
            cells["glibc"].kind = "least"


def one(key, result):
    """The tables of one benchmark: an allocator a row, a metric a column."""
    made = []
    for metrics in ([metric for metric in block if having({key: result}, metric)] for block in BLOCKS):
        table = Table("", ["", *(TITLES[metric] for metric in metrics)])
        for name in names_of({key: result}):
            table.add(name, *(one_cell(result, name, metric) for metric in metrics))
        mark_least(table, result, names_of({key: result}), metrics)
        if "average" in metrics:
            table.notes += filter(None, [wording.above_peak_text(result)])
        made.append(table)
    count = f"{len(result.rounds)} rounds" if len(result.rounds) > 1 else "1 round"
    made[0].title = (f"{key}: {count}; medians, ratio to glibc with its 95 % interval; - surely less, + surely more, = cannot "
                     "be told")
    return made
