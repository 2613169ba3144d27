# SPDX-License-Identifier: MIT
"""The figures of one benchmark: an allocator a row, a metric a column."""
import numpy

import figures
from figures import names_of
from wording import TITLES, amount_text

WIDTH = 29
BLOCKS = (("time", "cpu"), ("peak", "average", "faults"))  # what fits beside each other into a terminal


def cell(result, name, metric):
    """The median, its ratio to glibc with the interval, and - or + where it is surely less or more."""
    found = figures.values(result, name, metric)
    if found is None:
        return "failed"
    text = amount_text(float(numpy.median(found)), metric, figures.has_rate(result) and metric in ("time", "cpu"))
    ratio = figures.ratio(result, name, "glibc", metric)
    if name == "glibc" or not ratio:
        return text
    sign = {-1: "-", 0: "=", 1: "+"}[figures.differs(result, ratio, metric)]
    return f"{text}  {ratio[0]:.2f}{sign}" + (f" ({ratio[1]:.2f} {ratio[2]:.2f})" if figures.has_ends(ratio) else " (? ?)")


def rows(result, metrics=figures.METRICS):
    """Head, and the cells of each allocator behind its name."""
    head = ["", *(TITLES[metric] for metric in metrics)]
    return head, [[name, *(cell(result, name, metric) for metric in metrics)] for name in names_of({0: result})]


def print_table(key, result):
    print(f"\n{key}: {len(result['rounds'])} rounds; medians, ratio to glibc with its 95 % interval; "
          "- surely less, + surely more, = cannot be told")
    for metrics in BLOCKS:
        head, lines = rows(result, metrics)
        for title, *cells in [head, *lines]:
            print(f"{title:12}" + "".join(f"{text:>{WIDTH}}" for text in cells))
