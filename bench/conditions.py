# SPDX-License-Identifier: MIT
"""Conditions that end a run with a failure: `NAME.METRIC[BENCHMARK] > FACTOR*BASE`."""
import dataclasses
import fnmatch
import re

import figures

SYNTAX = "NAME.METRIC > FACTOR*BASE, as 'myalloc.time > 1.05*best' or 'myalloc.peak[trees] > 1.1*glibc'"
PARTS = re.compile(r"\s*(?P<name>[\w-]+)\.(?P<metric>\w+)\s*(\[(?P<pattern>[^\]]+)\])?\s*(?P<sign>[<>])\s*"
                   r"((?P<factor>\d+(\.\d*)?|\.\d+)\s*\*\s*)?(?P<base>[A-Za-z_][\w-]*)\s*")


@dataclasses.dataclass
class Condition:
    text: str
    name: str
    metric: str
    pattern: str | None  # None: the geometric mean of all benchmarks
    sign: str
    factor: float
    base: str            # an allocator, or "best"


def parse_condition(text):
    """The condition; ValueError with one line if the text is none."""
    found = PARTS.fullmatch(text)
    if not found:
        raise ValueError(f"'{text}': write {SYNTAX}")
    if found["metric"] not in figures.METRICS:
        raise ValueError(f"'{text}': '{found['metric']}' is no metric; there are {', '.join(figures.METRICS)}")
    return Condition(text, found["name"], found["metric"], found["pattern"], found["sign"], float(found["factor"] or 1),
                     found["base"])


def unknown_name(condition, allocators, benchmarks):
    """What the condition names that takes no part, in one line; ""."""
    for name in (condition.name, condition.base):
        if name not in allocators and (name != "best" or name == condition.name):
            return f"'{condition.text}': no allocator '{name}' takes part, only {', '.join(allocators)}"
    if condition.pattern and not fnmatch.filter(benchmarks, condition.pattern):
        return f"'{condition.text}': no benchmark '{condition.pattern}' takes part"
    return ""


def verdicts(condition, results):
    """(benchmark or "geometric mean", ratio or None, whether it holds) for each; no figure counts as holding, for a run
    that failed is no success."""
    if condition.pattern is None:
        found = {"geometric mean": figures.geometric(results, condition.name, condition.base, condition.metric)}
    else:
        found = {key: figures.to_best(results[key], condition.name, condition.metric) if condition.base == "best" else
                 figures.ratio(results[key], condition.name, condition.base, condition.metric)
                 for key in fnmatch.filter(results, condition.pattern)} or {condition.pattern: None}
    return [(key, ratio and ratio[0], ratio is None or
             (ratio[0] > condition.factor if condition.sign == ">" else ratio[0] < condition.factor))
            for key, ratio in found.items()]


def print_failures(condition, results):
    """Says where the condition holds; whether it does anywhere."""
    failed = [(key, ratio) for key, ratio, holds in verdicts(condition, results) if holds]
    for key, ratio in failed:
        what = "no figure, as a run failed or there was only one round"
        if ratio is not None:
            what = f"it is {ratio:.3f}*{condition.base}"
        print(f"--fail-if '{condition.text}' holds for {key}: {what}")
    return bool(failed)
