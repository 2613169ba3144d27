# SPDX-License-Identifier: MIT
"""The report as one self-contained HTML file: page.html.j2, filled by Jinja2 with the tables of tables.py and plots."""
import pathlib

import jinja2
from markupsafe import Markup

import figures
import plots
import tables
import wording
from figures import PAIR, names_of

PLOTS_MOST = 4_000_000  # bytes of plots of memory over time; the file stays below 6 MB


def metric_parts(results, names):
    """(title, table or None, plots) of each metric."""
    several, parts = len(results) > 1, []
    for metric in tables.shown(results):
        rows, table = tables.having(results, metric), tables.by_metric(results, metric) if several else None
        drawn = [] if several and metric == "faults" else [Markup(plots.bars(members, names, metric))
                                                           for members in wording.groups_of(rows).values()]
        parts.append((wording.TITLES[metric], table, drawn))
    return parts


def memory_parts(results, names):
    """(group, [(benchmark, plot or "")]): memory over time, as long as there is room."""
    parts, size = [], 0
    for group, members in wording.groups_of(results).items():
        drawn = []
        for key, result in members.items():
            plot = plots.over_time(result, names) if size < PLOTS_MOST else ""
            size += len(plot)
            drawn.append((key, Markup(plot)))
        parts.append((group, drawn))
    return parts


def content(document):
    """What the template is filled with."""
    results, names = document.benchmarks, names_of(document.benchmarks)
    several, options = len(results) > 1, document.front is not None  # of options there is no best of others
    return {
        "document": document, "results": results,
        "notes": wording.notes(document), "failures": wording.failures(results),
        "summary": tables.summary(document) if several else None,
        "scatter": Markup(plots.scatter(results, names)) if several else "",
        "front": Markup(plots.front(next(iter(results.values())), names, document.front)) if options else "",
        "single": [table for key, result in results.items() for table in tables.one(key, result)] if len(results) == 1 else [],
        "misses": tables.misses(results) if PAIR[0] in names and not options else None,
        "metrics": [] if options else metric_parts(results, names),
        "scaling": Markup(plots.scaling(results, names)),
        "exact": tables.exact(document),
        "memory": memory_parts(results, names),
        "colours": {name: colour for name, colour in plots.colours(names).items() if name != figures.PAIR[1]},
    }


def write(document, path):
    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)
    path.write_text(environment.get_template("page.html.j2").render(content(document)) + "\n")
