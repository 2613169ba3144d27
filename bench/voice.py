# SPDX-License-Identifier: MIT
"""Who speaks: this program has one name in bench/ and another as `myalloc compare`; and lines as wide as the terminal is."""
import os
import sys
import textwrap

OWN = "MYALLOC_BENCH_NAME" in os.environ  # started by `myalloc compare`, which has fewer options
NAME = os.environ.get("MYALLOC_BENCH_NAME", "bench")
ENDLESS = 1000  # columns of what is no terminal: nothing is folded there
NARROWEST = 20


def columns(stream):
    if not stream.isatty():
        return ENDLESS
    try:
        return max(int(os.environ.get("COLUMNS") or os.get_terminal_size(stream.fileno()).columns), NARROWEST)
    except (OSError, ValueError):  # a terminal that does not say how wide it is
        return ENDLESS


def coloured(stream):
    """On a terminal that can, unless NO_COLOR says that nobody wants it: no code at all elsewhere, whatever else is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")


def cut(text, width):
    """The text in so many columns, with a sign where something is missing."""
    return text if len(text) <= width else text[:max(width - 1, 0)] + "…"


def folded(text, width):
    """The lines of one line, indented as it is and below that by two more."""
    indent = len(text) - len(text.lstrip())
    return textwrap.wrap(text, width, subsequent_indent=" " * (indent + 2), break_on_hyphens=False) or [""]


def complain(text):
    print(*folded(f"{NAME}: {text}", columns(sys.stderr)), sep="\n", file=sys.stderr)
