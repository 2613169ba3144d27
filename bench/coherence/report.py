# SPDX-License-Identifier: MIT
"""The tables on the terminal, drawn by bench/report.py: one for each number of threads, and where the costs come from."""
import report
import tables
from coherence.where import Names

HEAD = ["", "ns/op", "to best", "data", "contents", "program", "atomics", "elsewhere", "waits", "syscalls", "in calls", "lock"]
NOTE = (
    "ns/op: modelled time of an operation (a call of the allocator and what the program does with it) on one thread.",
    "Per 1000 operations: transfers of lines of the allocator's data, of blocks' contents, of the program's; the allocator's",
    "atomics, those of them on lines last written elsewhere, its futex waits, its system calls.",
    "in calls: share of all threads' time in the allocator. lock: share of the run in which its most held lock is held.")
AMOUNTS = ("data", "contents", "program", "atomics", "atomics_elsewhere", "futex_waits", "system_calls")
ROWS = 12  # of each list of --where


def row(name, sample, best):
    if sample.status:
        return [tables.Cell(name), tables.Cell("FAILED", "failed"), *(tables.Cell("") for _ in HEAD[2:])]
    found = sample.figures
    time = found["operation"] or found["time"]
    return [tables.Cell(name), tables.Cell(f"{time:.1f}"), tables.Cell(f"{time / best:.2f}", "best" if time == best else ""),
            *(tables.Cell(f"{found[name]:.1f}") for name in AMOUNTS), tables.Cell(f"{found['call_share']:.1%}"),
            tables.Cell(f"{found['lock_share']:.2%}")]


def print_runs(console, load, threads, samples):
    """One table, an allocator a row."""
    times = [sample.figures["operation"] or sample.figures["time"] for sample in samples.values() if not sample.status]
    table = tables.Table(f"{load}, {threads} threads" if threads != "0" else load, HEAD)
    for name, sample in samples.items():
        table.add(*row(name, sample, min(times, default=1)))
    table.notes = [f"{name}: {sample.status}" for name, sample in samples.items() if sample.status]
    table.notes += [f"{name}: a sleeper was not awaited long enough; the next run may differ" for name, sample in samples.items()
                    if sample.counts and sample.counts["unsettled"]]
    report.print_table(console, table)


def print_where(console, title, counts):
    """The most transferring instructions and lines, the most held locks, of one run."""
    names, scale = Names(counts["modules"]), 1000 / (counts["operations"] or 1000)
    table = tables.Table(f"{title}: instructions", ["transfers", "data", "links", "contents", "program", ""], left=(5,))
    for entry in counts["instructions_transferring"][:ROWS]:
        kinds = entry["transfers"]
        table.add(f"{sum(kinds.values()) * scale:.1f}", *(f"{kinds[kind] * scale:.1f}" for kind in kinds),
                  names.code(entry["address"]))
    report.print_table(console, table)
    table = tables.Table(f"{title}: lines", ["transfers", ""], left=(1,))
    for entry in counts["lines"][:ROWS]:
        table.add(f"{entry['transfers'] * scale:.1f}", names.line(entry["address"], entry["block"]))
    report.print_table(console, table)
    table = tables.Table(f"{title}: locks", ["held", "sections", "taken by", ""], left=(2, 3))
    for entry in counts["locks"][:ROWS]:
        table.add(f"{entry['held'] / counts['time']:.2%}", f"{entry['sections'] * scale:.1f}", f"the {entry['of']}",
                  names.data(entry["address"]))
    report.print_table(console, table)


def print_all(made, where):
    console = report.new_console()
    for load, runs in made.loads.items():
        for threads, samples in runs.items():
            print_runs(console, load, threads, samples)
            for name, sample in samples.items():
                if where and not sample.status:
                    print_where(console, f"{load} {threads} {name}", sample.counts)
    console.print()
    for line in NOTE:
        console.print(line)
