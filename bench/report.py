# SPDX-License-Identifier: MIT
"""The report on the terminal, drawn by rich: in colour there (not with NO_COLOR), plain text elsewhere. What is wider than the
terminal is folded: lines between words, tables between columns. A name that leaves no room for a column beside it is cut, with
a sign that it is."""
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
NAME_LEAST = 8 # columns of a name
STYLES = {"least": "bold green", "best": "green", "far": "red", "same": "dim", "failed": "bold red", "group": "bold",
          "mean": "bold"}


def new_console():
    """Of what is standard output now. rich itself never folds a line."""
    coloured = voice.coloured(sys.stdout)
    return Console(file=sys.stdout, width=voice.ENDLESS, highlight=False, markup=False, emoji=False, soft_wrap=True,
                   force_terminal=coloured, color_system="auto" if coloured else None, no_color=not coloured)


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


def drawn(cell, kind, left, width):
    text = Text(voice.cut(shown(cell), width), STYLES.get(cell.kind) or STYLES.get(kind, ""))
    return text if left else Align.right(text)


def group_text(cells):
    return f"-- {cells[0].text}"


def widths(table, width):
    """Of its columns. The first stands beside each other one and leaves room for the widest cell of them; only then is it cut,
    and a name at the head of a column where it does not fit beside the first."""
    rows = [cells for kind, cells in table.rows if kind != "group"]
    cells = [max([len(shown(row[at])) for row in rows if at < len(row)], default=0) for at in range(len(table.head))]
    groups = [len(group_text(row)) for kind, row in table.rows if kind == "group"]
    first = min(max([len(table.head[0]), cells[0], *groups]), max(width - max(cells[1:], default=0) - GAP, NAME_LEAST))
    return [first, *(min(max(len(name), cell), max(width - first - GAP, NAME_LEAST))
                     for name, cell in zip(table.head[1:], cells[1:]))]


def parts(table, wide, width):
    """The numbers of the columns that fit beside each other; each part begins with the first column."""
    found = [[0]]
    for at in range(1, len(table.head)):
        used = sum(wide[i] + GAP for i in found[-1])
        if len(found[-1]) > 1 and used + wide[at] > width:
            found.append([0])
        found[-1].append(at)
    return found


def grid_of(table, columns, wide):
    grid = Table(box=None, pad_edge=False, padding=(0, 0, 0, GAP), show_header=any(table.head), collapse_padding=True)
    for at in columns:
        grid.add_column(voice.cut(table.head[at], wide[at]), justify="left" if at in table.left else "right", no_wrap=True,
                        header_style="bold")
    for kind, cells in table.rows:
        if kind == "group":
            grid.add_row(Text(group_text(cells), STYLES["group"]))
        else:
            grid.add_row(*(drawn(cells[at], kind, at in table.left, wide[at]) for at in columns if at < len(cells)))
    return grid


def print_table(console, table):
    """Its title, columns as wide as they must be, the notes below."""
    console.print()
    if table.title:
        say(console, table.title, "bold")
    width = voice.columns(sys.stdout)
    wide = widths(table, width)
    for number, columns in enumerate(parts(table, wide, width) if table.rows else []):
        with console.capture() as text:
            console.print(grid_of(table, columns, wide))
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
