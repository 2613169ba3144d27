# SPDX-License-Identifier: MIT
"""The report as one self-contained HTML file, its plots drawn by matplotlib as SVG."""
import html
import io
import re

import matplotlib
import numpy

import figures
from report import TITLES, UNITS, names_of

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
from matplotlib import pyplot  # noqa: E402 (the backend is chosen before)

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;font-size:13px}td,th{padding:2px 9px;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}.best{background:#dff0d8}.far{background:#f8e0d8}.failed{color:#b00}
svg{max-width:100%;height:auto}small{color:#666}"""


def colours(names):
    palette = pyplot.get_cmap("tab10").colors
    return {name: palette[i % len(palette)] for i, name in enumerate(names)}


def svg(figure):
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return text.getvalue()[text.getvalue().index("<svg"):]


def scatter(results, names):
    """Geometric means: time across, memory up; the corner at the lower left is where to be."""
    figure, axes = pyplot.subplots(figsize=(6, 4.5))
    for name, colour in colours(names).items():
        time, memory = (figures.geometric(results, name, "best", metric) for metric in ("time", "peak"))
        if time and memory:
            axes.errorbar(time[0], memory[0], xerr=[[time[0] - time[1]], [time[2] - time[0]]],
                          yerr=[[memory[0] - memory[1]], [memory[2] - memory[0]]], fmt="o", color=colour, capsize=2)
            axes.annotate(name, (time[0], memory[0]), xytext=(6, 4), textcoords="offset points")
    axes.set_xlabel("time, ratio to the best of each benchmark")
    axes.set_ylabel("peak memory, ratio to the best")
    return svg(figure)


def bars(results, names, metric):
    figure, axes = pyplot.subplots(figsize=(11, 0.16 * len(results) * len(names) + 1))
    height = 0.85 / len(names)
    for i, (name, colour) in enumerate(colours(names).items()):
        for row, result in enumerate(results.values()):
            best = figures.best_peer(result, metric)
            found = figures.ratio(result, name, best, metric) if best else None
            if found:
                axes.barh(row + i * height, min(found[0], 4), height, color=colour, label=name if row == 0 else None,
                          xerr=[[max(found[0] - found[1], 0)], [max(found[2] - found[0], 0)]] if found[0] <= 4 else None)
                if found[0] > 4:
                    axes.text(4.02, row + i * height, f"{found[0]:.1f}", va="center", fontsize=7)
    axes.axvline(1, color="black", linewidth=0.7)
    axes.set_yticks(numpy.arange(len(results)) + 0.4, list(results))
    axes.set_xlim(0, 4.3)
    axes.invert_yaxis()
    axes.set_xlabel(f"{TITLES[metric]}, ratio to the best of the others")
    axes.legend(ncols=len(names), loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return svg(figure)


def over_time(result, names):
    """Memory over time, of the first round."""
    figure, axes = pyplot.subplots(figsize=(5.2, 2.4))
    for name, colour in colours(names).items():
        series = result["rounds"][0]["samples"].get(name, {}).get("series")
        if series:
            at, kib = zip(*series)
            axes.plot(at, numpy.array(kib) / 1024, color=colour, linewidth=1, label=name)
    axes.set_xlabel("seconds")
    axes.set_ylabel("MiB resident")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=6, frameon=False, ncols=2)
    return svg(figure)


def scaling(results, names):
    """Benchmarks named LOAD-N: time over N threads."""
    groups = {}
    for key in results:
        if found := re.fullmatch(r"(.*)-(\d+)", key):
            groups.setdefault(found.group(1), []).append((int(found.group(2)), key))
    drawn = []
    for load, members in groups.items():
        if len(members) < 3:
            continue
        figure, axes = pyplot.subplots(figsize=(5.2, 3))
        for name, colour in colours(names).items():
            points = [(n, figures.ratio(results[key], name, "glibc", "time")) for n, key in sorted(members)]
            points = [(n, found[0]) for n, found in points if found]
            axes.plot(*zip(*points), "o-", color=colour, label=name) if points else None
        axes.set_xscale("log", base=2)
        axes.set_xlabel("threads")
        axes.set_ylabel("time, ratio to glibc")
        axes.set_title(load)
        axes.legend(fontsize=7, frameon=False)
        drawn.append(svg(figure))
    return "".join(drawn)


def cell(result, name, metric, best):
    if figures.failure(result, name):
        return f"<td class=failed title='{html.escape(figures.failure(result, name), True)}'>failed</td>"
    found = figures.ratio(result, name, best, metric) if best else None
    if not found:
        return "<td>–</td>"
    kind = "best" if found[0] <= 1.0 else "far" if found[0] > 1.1 else ""
    return f"<td class='{kind}' title='95 %: {found[1]:.3f} to {found[2]:.3f}'>{found[0]:.2f}</td>"


def table(results, names, metric):
    unit, scale = UNITS[metric]
    rows = [f"<tr><th>{TITLES[metric]}<th>best, {unit}" + "".join(f"<th>{html.escape(name)}" for name in names)]
    for key, result in results.items():
        best = figures.best_peer(result, metric)
        amount = numpy.median(figures.values(result, best, metric)) / scale if best else 0
        rows.append(f"<tr><td title='{html.escape(result['about'], True)}'>{html.escape(key)}<td>{amount:.2f}" +
                    "".join(cell(result, name, metric, best) for name in names))
    means = [figures.geometric(results, name, "best", metric) for name in names]
    rows.append("<tr><th>geometric mean<td>" + "".join(
        f"<td title='95 %: {mean[1]:.3f} to {mean[2]:.3f}'><b>{mean[0]:.3f}</b>" if mean else "<td>–" for mean in means))
    return "<table>" + "\n".join(rows) + "</table>"


def write(document, path):
    results, names = document["benchmarks"], names_of(document["benchmarks"])
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>Allocators compared</title>", f"<style>{STYLE}</style>",
             "<h1>Allocators compared</h1><p>Ratios to the best of the other allocators on each benchmark; medians of ratios "
             "within rounds. Point at a figure for its 95&nbsp;% interval. <code>copy</code> is a copy of myalloc: what "
             "differs between the two is noise.</p><p><small>",
             "<br>".join(html.escape(f"{key}: {value}") for key, value in document["machine"].items()), "</small></p>"]
    if len(results) > 1:
        parts += ["<h2>Time against memory</h2>", scatter(results, names), scaling(results, names)]
    for metric in figures.METRICS:
        parts += [f"<h2>{TITLES[metric].capitalize()}</h2>", table(results, names, metric)]
        if metric in ("time", "peak"):
            parts.append(bars(results, names, metric))
    parts.append("<h2>Memory over time</h2>")
    for key, result in results.items():
        parts.append(f"<figure style='display:inline-block;margin:4px'><figcaption>{html.escape(key)}</figcaption>"
                     f"{over_time(result, names)}</figure>")
    path.write_text("\n".join(parts))
