# SPDX-License-Identifier: MIT
"""The plots of the report, drawn by matplotlib, as SVG that can stand in a page: no references outside, names of their
own, and lines and text in the colour of the page, light or dark."""
import io
import itertools
import re

import matplotlib
import numpy

import figures
from wording import TITLES

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402 (the backend is chosen before)

INK = "#010203"  # becomes the colour of the page's text
KNOWN = {"glibc": "#8c8c8c", "myalloc": "#d55e00", "copy": "#eab188", "jemalloc": "#0072b2", "mimalloc": "#009e73",
         "tcmalloc": "#cc79a7", "tbbmalloc": "#e0a800"}
OTHERS = ("#56b4e9", "#7e57c2", "#a1887f", "#26a69a", "#9e9d24", "#ef5350", "#5c6bc0", "#ec407a", "#8d6e63", "#00838f")
CUT = 3.0        # bars end here and say how long they would be
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "myalloc", "font.size": 9, "font.family": "sans-serif",
    "axes.spines.top": False, "axes.spines.right": False, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
})
counter = itertools.count(1)


def colours(names):
    spare = itertools.cycle(OTHERS)
    return {name: KNOWN.get(name) or next(spare) for name in names}


def svg(figure, label):
    """The figure as an element of HTML."""
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    pyplot.close(figure)
    text = text.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg"):], flags=re.S)
    text = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", text).replace("xlink:href", "href").replace(INK, "currentColor")
    own = f"p{next(counter)}-"
    text = re.sub(r'\bid="', f'id="{own}', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{own}", text)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{label}" ', text, count=1)


def legend(where, names, **place):
    """`where` is axes or a figure."""
    handles = [pyplot.Line2D([], [], color=colour, marker="s", linestyle="", label=name) for name,
               colour in colours(names).items()]
    where.legend(handles=handles, frameon=False, labelcolor=INK, **place)


def whiskers(found):
    return [[max(found[0] - found[1], 0)], [max(found[2] - found[0], 0)]]


def scatter(results, names):
    """Geometric means: time across, memory up; the corner at the lower left is where to be."""
    figure, all_axes = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for axes, memory in zip(all_axes, ("peak", "average")):
        for name, colour in colours(names).items():
            across, up = (figures.geometric(results, name, "best", metric) for metric in ("time", memory))
            if across and up:
                axes.errorbar(across[0], up[0], xerr=whiskers(across), yerr=whiskers(up), fmt="o", color=colour, capsize=2,
                              markersize=7)
        axes.set_xlabel("time, ratio to the best of each benchmark")
        axes.set_ylabel(f"{TITLES[memory].lower()}, ratio to the best")
        axes.grid(alpha=0.25)
        axes.margins(0.1)
    legend(figure, names, loc="upper center", ncols=len(names), handletextpad=0.1, bbox_to_anchor=(0.5, 1.03))
    figure.tight_layout(w_pad=4, rect=(0, 0, 1, 0.96))
    return svg(figure, "time against memory")


def front(result, names, members):
    """One program: time across, memory up, in what was measured; `members`, of which none is both faster and smaller than
    another, are joined."""
    figure, all_axes = pyplot.subplots(1, 2, figsize=(11, 4.2))
    shown = [name for name in names if name != figures.PAIR[1] and not figures.failure(result, name)]
    for axes, memory in zip(all_axes, ("peak", "average")):
        middle = {name: [float(numpy.median(figures.values(result, name, metric))) for metric in ("time", memory)]
                  for name in shown}
        places = [(middle[name][0], middle[name][1] / 1024) for name in members if name in middle]
        axes.plot(*zip(*places), color=INK, linewidth=0.8, alpha=0.5)
        for name, colour in colours(shown).items():
            place = middle[name][0], middle[name][1] / 1024
            axes.plot(*place, "o", color=colour, markersize=7 if name in members else 5)
            if name in members:
                axes.annotate(name, place, (4, 4), textcoords="offset points", fontsize=7)
        axes.set_xlabel("time in calls, seconds")
        axes.set_ylabel(f"{TITLES[memory].lower()}, MiB")
        axes.grid(alpha=0.25)
        axes.margins(0.1)
    legend(figure, shown, loc="upper center", ncols=min(len(shown), 4), handletextpad=0.1, bbox_to_anchor=(0.5, 0))
    figure.tight_layout(w_pad=4)
    return svg(figure, "time against memory")


def draw_bar(axes, at, height, found, colour):
    shown = min(found[0], CUT)
    axes.barh(at, shown, height, color=colour)
    if found[0] > CUT:
        axes.text(CUT + 0.02, at, f"{found[0]:.1f}", va="center", fontsize=7)
    else:
        axes.errorbar(shown, at, xerr=whiskers((found[0], found[1], min(found[2], CUT))), color=INK, linewidth=0.6,
                      capsize=1)


def bars(results, names, metric):
    """Ratios to the best with their intervals; a benchmark a row, an allocator a bar."""
    names = [name for name in names if name != figures.PAIR[1]]
    height = 0.85 / len(names)
    figure, axes = pyplot.subplots(figsize=(9, 0.13 * len(results) * (len(names) + 1) + 0.8))
    for i, (name, colour) in enumerate(colours(names).items()):
        for row, result in enumerate(results.values()):
            found = figures.to_best(result, name, metric)
            if found:
                draw_bar(axes, row + i * height, height, found, colour)
            elif figures.failure(result, name):
                axes.text(0.02, row + i * height, f"{name} failed", va="center", fontsize=7, color="#c62828")
    axes.axvline(1, color=INK, linewidth=0.7)
    axes.set_yticks(numpy.arange(len(results)) + 0.4, list(results))
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, CUT + 0.25)
    axes.set_ylim(len(results) - 0.1, -0.2)
    axes.set_xlabel(f"{TITLES[metric].lower()}, ratio to the best of the others")
    legend(axes, names, ncols=len(names), loc="lower center", bbox_to_anchor=(0.5, 1), handletextpad=0.1)
    return svg(figure, f"{TITLES[metric]} by benchmark")


def over_time(result, names):
    """Memory over time in the first round; "" without any."""
    figure, axes = pyplot.subplots(figsize=(4.6, 2.1))
    drawn = False
    for name, colour in colours(names).items():
        series = result.rounds[0].samples[name].series
        if series and name != figures.PAIR[1]:
            at, kib = zip(*series)
            axes.plot(at, numpy.array(kib) / 1024, color=colour, linewidth=1.1)
            drawn = True
    axes.set_xlabel("seconds", fontsize=8)
    axes.set_ylabel("MiB", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    text = svg(figure, "memory over time")
    return text if drawn else ""


def families(results):
    """Benchmarks named LOAD-N, for at least two N: load -> [(N, name)]."""
    groups = {}
    for key in results:
        if found := re.fullmatch(r"(.*?)-(\d+)", key):
            groups.setdefault(found.group(1), []).append((int(found.group(2)), key))
    return {load: sorted(members) for load, members in groups.items() if len(members) >= 2}


def speed(result, name):
    """Operations a second in millions where the load counts them, otherwise relative to glibc; None if it failed."""
    taken = figures.values(result, name, "time")
    if taken is None:
        return None
    if figures.has_rate(result):
        return float(1e-6 / numpy.median(taken))
    found = figures.ratio(result, "glibc", name, "time")
    return found and found[0]


def scaling(results, names):
    """Speed over the number of threads; "" if no load was run with several."""
    groups = families(results)
    if not groups:
        return ""
    columns = max(min(3, len(groups)), 2)
    rows = -(-len(groups) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(3.7 * columns, 2.8 * rows), squeeze=False)
    for axes in grid.flat[len(groups):]:
        axes.remove()
    for axes, (load, members) in zip(grid.flat, groups.items()):
        for name, colour in colours(names).items():
            points = [(n, found) for n, key in members if (found := speed(results[key], name))]
            if points and name != figures.PAIR[1]:
                axes.plot(*zip(*points), "o-", color=colour, markersize=3.5, linewidth=1.1)
        axes.set_xscale("log", base=2)
        axes.set_xticks([n for n, _ in members], [str(n) for n, _ in members])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_title(load, fontsize=9)
        axes.set_xlabel("threads", fontsize=8)
        axes.set_ylabel("million operations/s" if figures.has_rate(results[members[0][1]]) else "speed, glibc = 1",
                        fontsize=8)
        axes.grid(alpha=0.25)
    legend(figure, [name for name in names if name != figures.PAIR[1]], loc="lower center", ncols=len(names), fontsize=8,
           handletextpad=0.1, columnspacing=1, bbox_to_anchor=(0.5, -0.4 / rows * 0.3))
    figure.tight_layout()
    return svg(figure, "scaling with threads")
