# SPDX-License-Identifier: MIT
"""The report on the terminal, drawn by rich: in colour there (not with NO_COLOR), plain text elsewhere."""
import sys

from rich.align import Align
from rich.console import Console
from rich.table import Table
from rich.text import Text

import tables
import wording
from figures import PAIR, names_of

WIDE = 1000  # columns: rich never folds a line, as the terminal does that and a file needs none
STYLES = {"best": "green", "far": "red", "same": "dim", "failed": "bold red", "group": "bold", "mean": "bold"}


def new_console():
    """Of what is standard output now."""
    return Console(file=sys.stdout, width=WIDE, highlight=False, markup=False, emoji=False, soft_wrap=True)


def drawn(cell, kind, left):
    text = Text(cell.long or cell.text, STYLES.get(cell.kind) or STYLES.get(kind, ""))
    return text if left else Align.right(text)


def print_table(console, table):
    """Its title, columns as wide as they must be, the notes below."""
    console.print()
    if table.title:
        console.print(Text(table.title, "bold"))
    grid = Table(box=None, pad_edge=False, padding=(0, 0, 0, 2), show_header=any(table.head), collapse_padding=True)
    for at, name in enumerate(table.head):
        grid.add_column(name, justify="left" if at in table.left else "right", no_wrap=True, header_style="bold")
    for kind, cells in table.rows:
        if kind == "group":
            grid.add_row(Text(f"-- {cells[0].text}", STYLES["group"]))
        else:
            grid.add_row(*(drawn(cell, kind, at in table.left) for at, cell in enumerate(cells)))
    if table.rows:
        with console.capture() as text:
            console.print(grid)
        print(*(line.rstrip() for line in text.get().splitlines()), sep="\n")
    for line in table.notes:
        console.print(line)


def print_benchmarks(console, document):
    """The tables of time, memory and faults, and what follows from them for myalloc."""
    results = document.benchmarks
    if len(results) == 1:
        for key, result in results.items():
            for table in tables.one(key, result):
                print_table(console, table)
        return
    print_table(console, tables.summary(document))
    for metric in tables.shown(results):
        print_table(console, tables.by_metric(results, metric))
    if PAIR[0] in names_of(results):
        print_table(console, tables.against(results))
        print_table(console, tables.misses(results))


def print_all(document):
    console, results = new_console(), document.benchmarks
    for key, value in document.machine.items():
        console.print(f"{key}: {value}")
    if results:
        print_benchmarks(console, document)
        for table in tables.exact(document):
            print_table(console, table)
    console.print()
    if not results:
        console.print(Text("No benchmark has two rounds.", STYLES["failed"]))
    if len(results) > 1:
        console.print("1.02= 0.48: ratio to the best of the others on that benchmark (`=`: cannot be told from it), ratio to "
                      "glibc.")
    for line in wording.notes(document):
        console.print(line)
    for key, name, wrong in wording.failures(results):
        console.print(Text(f"FAILED {key} with {name}: {wrong}", STYLES["failed"]))
