# SPDX-License-Identifier: MIT
"""The report on the terminal, drawn by rich: in colour there (not with NO_COLOR), plain text elsewhere. What is wider than the
terminal is folded: lines between words, tables between columns."""
import sys

from rich.align import Align
from rich.console import Console
from rich.table import Table
from rich.text import Text

import tables
import voice
import wording
from figures import PAIR, names_of

GAP = 2 # columns between two of a table
STYLES = {"best": "green", "far": "red", "same": "dim", "failed": "bold red", "group": "bold", "mean": "bold"}


def new_console():
    """Of what is standard output now. rich itself never folds a line."""
    return Console(file=sys.stdout, width=voice.ENDLESS, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(console, text, style=""):
    """A line, folded on a terminal."""
    for line in voice.folded(text, voice.columns(sys.stdout)):
        console.print(Text(line, style))


def print_lines(lines):
    console = new_console()
    for line in lines:
        say(console, line)


def shown(cell):
    return cell.long or cell.text


def drawn(cell, kind, left):
    text = Text(shown(cell), STYLES.get(cell.kind) or STYLES.get(kind, ""))
    return text if left else Align.right(text)


def widths(table):
    """Of its columns."""
    rows = [cells for kind, cells in table.rows if kind != "group"]
    return [max([len(name), *(len(shown(cells[at])) for cells in rows if at < len(cells))])
            for at, name in enumerate(table.head)]


def parts(table, width):
    """The numbers of the columns that fit beside each other; each part begins with the first column."""
    wide, found = widths(table), [[0]]
    for at in range(1, len(table.head)):
        used = sum(wide[i] + GAP for i in found[-1])
        if len(found[-1]) > 1 and used + wide[at] > width:
            found.append([0])
        found[-1].append(at)
    return found


def grid_of(table, columns):
    grid = Table(box=None, pad_edge=False, padding=(0, 0, 0, GAP), show_header=any(table.head), collapse_padding=True)
    for at in columns:
        grid.add_column(table.head[at], justify="left" if at in table.left else "right", no_wrap=True, header_style="bold")
    for kind, cells in table.rows:
        if kind == "group":
            grid.add_row(Text(f"-- {cells[0].text}", STYLES["group"]))
        else:
            grid.add_row(*(drawn(cells[at], kind, at in table.left) for at in columns if at < len(cells)))
    return grid


def print_table(console, table):
    """Its title, columns as wide as they must be, the notes below."""
    console.print()
    if table.title:
        say(console, table.title, "bold")
    for number, columns in enumerate(parts(table, voice.columns(sys.stdout)) if table.rows else []):
        with console.capture() as text:
            console.print(grid_of(table, columns))
        print(*([""] if number else []), *(line.rstrip() for line in text.get().splitlines()), sep="\n")
    for line in table.notes:
        say(console, line)


def print_tables(made):
    console = new_console()
    for table in made:
        print_table(console, table)


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
        say(console, f"{key}: {value}")
    if results:
        print_benchmarks(console, document)
        for table in tables.exact(document):
            print_table(console, table)
    console.print()
    if not results:
        console.print(Text("No benchmark has two rounds.", STYLES["failed"]))
    if len(results) > 1:
        say(console, "1.02= 0.48: ratio to the best of the others on that benchmark (`=`: cannot be told from it), ratio to "
            "glibc.")
    for line in wording.notes(document):
        say(console, line)
    for key, name, wrong in wording.failures(results):
        say(console, f"FAILED {key} with {name}: {wrong}", STYLES["failed"])
