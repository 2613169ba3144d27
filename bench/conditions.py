# SPDX-License-Identifier: MIT
"""Conditions that end a run with a failure: `NAME.METRIC[BENCHMARK] > FACTOR*BASE`."""
import dataclasses
import fnmatch
import re

import figures

SYNTAX = "NAME.METRIC > FACTOR*BASE, as 'myalloc.time > 1.05*best' or 'myalloc.peak[trees] > 1.1*glibc'"
PARTS = re.compile(r"\s*(?P<name>[\w-]+)\.(?P<metric>\w[\w-]*)\s*(\[(?P<pattern>[^\]]+)\])?\s*(?P<sign>[<>])\s*"
                   r"((?P<factor>\d+(\.\d*)?|\.\d+)\s*\*\s*)?(?P<base>[A-Za-z_][\w-]*)\s*")
METRICS = (*figures.METRICS, *figures.MOMENTS)


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
    if found["metric"] not in METRICS:
        raise ValueError(f"'{text}': '{found['metric']}' is no metric; there are {', '.join(METRICS)}")
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


def mean(condition, results):
    """The geometric mean; None as well if a run of the allocator or of the base failed on any benchmark."""
    names = [name for name in (condition.name, condition.base) if name != "best"]
    if any(figures.failed(results, name) for name in names):
        return None
    return figures.geometric(results, condition.name, condition.base, condition.metric)


def ratio(condition, result):
    if condition.base == "best":
        return figures.to_best(result, condition.name, condition.metric)
    return figures.ratio(result, condition.name, condition.base, condition.metric)


def verdicts(condition, results):
    """(benchmark or "geometric mean", ratio or None, whether it holds) for each; no figure counts as holding, for a run
    that failed is no success. Benchmarks that cannot have the metric are not asked, unless there is no other."""
    if condition.pattern is None:
        found = {"geometric mean": mean(condition, results)}
    else:
        asked = {key: results[key] for key in fnmatch.filter(results, condition.pattern)}
        found = {key: ratio(condition, result) for key, result in asked.items()
                 if figures.has(result, condition.metric) or figures.failure(result, condition.name)}
        found = found or {condition.pattern: None}
    return [(key, ratio and ratio[0], ratio is None or
             (ratio[0] > condition.factor if condition.sign == ">" else ratio[0] < condition.factor))
            for key, ratio in found.items()]


def print_failures(condition, results):
    """Says where the condition holds; whether it does anywhere."""
    failed = [(key, ratio) for key, ratio, holds in verdicts(condition, results) if holds]
    for key, ratio in failed:
        what = "no figure, as a run failed, there was only one round, or no load tells it"
        if ratio is not None:
            what = f"it is {ratio:.3f}*{condition.base}"
        print(f"--fail-if '{condition.text}' holds for {key}: {what}")
    return bool(failed)
