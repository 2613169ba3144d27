# SPDX-License-Identifier: MIT
"""Locks and atomic operations of the debug build of libmyalloc, which counts them and says so at exit."""
import re

import measuring
from document import Counts

LINE = re.compile(r"^myalloc-counters: ops=(\d+) locks=(\d+) waits=(\d+) rmws=(\d+) oscalls=(\d+)\s*$", re.M)


def add_up(text):
    """Per 1000 operations, over all processes that reported; None if none did."""
    found = [tuple(map(int, numbers)) for numbers in LINE.findall(text)]
    operations = sum(numbers[0] for numbers in found)
    if not operations:
        return None
    sums = [sum(numbers[i] for numbers in found) for i in range(1, 5)]
    return Counts("", operations, *(1000 * total / operations for total in sums))


def count(benchmark, library, place):
    """The Counts of one run under the debug build."""
    if not library.exists():
        return Counts(f"no figure: {library.name} is not built (`make debug`)")
    sample = measuring.run_once(benchmark, str(library), place, extra={"MYALLOC_COUNTERS": "1"})
    if sample.status:
        return Counts(f"FAILED {sample.status}")
    return add_up("\n".join(measuring.said(place))) or Counts("no figure: the library printed no counters")


def count_all(chosen, library, place, progress):
    """Name -> counters of the benchmarks that ask for them."""
    found = {}
    for benchmark in chosen:
        if benchmark.counts:
            progress.note("counting locks")
            progress.show(benchmark.name, None)
            found[benchmark.name] = count(benchmark, library, place)
    return found
