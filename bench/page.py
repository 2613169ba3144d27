# SPDX-License-Identifier: MIT
"""The report as one self-contained HTML file."""
import html

import figures
import plots
import single
import wording
from figures import names_of
from wording import TITLES

PLOTS_MOST = 4_000_000  # bytes of plots of memory over time; the file stays below 6 MB
STYLE = """
:root{color-scheme:light dark;--ink:#222;--paper:#fff;--line:#ddd;--soft:#666;--good:#d9efd9;--far:#f7ded4;--bad:#b00020}
@media(prefers-color-scheme:dark){:root{--ink:#ddd;--paper:#16181b;--line:#3a3d42;--soft:#999;--good:#1f4427;--far:#5a2f20;
--bad:#ff8a80}}
body{font:15px/1.5 system-ui,
     sans-serif;max-width:76em;margin:2em auto;padding:0 1em;color:var(--ink);background:var(--paper)}
h2{margin-top:2em;border-bottom:1px solid var(--line)} h3{margin-bottom:.3em}
.wide{overflow-x:auto} table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
td,th{padding:2px 9px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
td:first-child,th:first-child{text-align:left} tr.group td{font-weight:600;padding-top:.8em} tr.mean td{border-top:2px solid var(--line)}
.best{background:var(--good)} .far{background:var(--far)} .failed{color:var(--bad);font-weight:600} .same{color:var(--soft)}
svg{max-width:100%;height:auto} figure{display:inline-block;margin:4px;vertical-align:top} figcaption{font-size:13px}
small,.soft{color:var(--soft)} summary{cursor:pointer} dt{float:left;clear:left;width:11em;color:var(--soft)} dd{margin-left:11em}
"""


def text(value):
    return html.escape(str(value), quote=True)


def table(head, rows):
    """`rows` are HTML of whole rows."""
    heads = "".join(f"<th>{text(cell)}</th>" for cell in head)
    return f'<div class="wide"><table><tr>{heads}</tr>\n' + "\n".join(rows) + "</table></div>"


def line(cells, kind=""):
    return f'<tr class="{kind}">' + "".join(cell if cell.startswith("<td") else f"<td>{text(cell)}</td>"
                                            for cell in cells) + "</tr>"


def cell(result, name, metric):
    if wrong := figures.failure(result, name):
        return f'<td class="failed" title="{text(wrong)}">failed</td>'
    found, to_glibc = figures.to_best(result, name, metric), figures.ratio(result, name, "glibc", metric)
    if not found:
        return "<td>–</td>"
    best = figures.best_peer(result, metric)
    same = name != best and not figures.differs(result, found, metric)
    kind = "same" if same else "best" if found[0] <= 1.0 else "far" if found[0] > wording.TOLERATED.get(metric,
                                                                                                        1.15) else ""
    other = f"; of glibc: {to_glibc[0]:.3f} ({to_glibc[1]:.3f} to {to_glibc[2]:.3f})" if to_glibc else ""
    ends = f"{found[1]:.3f} to {found[2]:.3f}" if figures.has_ends(found) else "unknown"
    return (f'<td class="{kind}" title="of {text(best)}, 95 %: {ends}{other}">{found[0]:.2f}'
            f'{"=" if same else ""}</td>')


def mean_cell(found, floor, itself=False):
    if not found:
        return "<td>–</td>"
    same = not itself and not figures.beyond(found, floor)
    return (f'<td class="{"same" if same else ""}" title="95 %: {found[1]:.3f} to {found[2]:.3f}, of {found[3]}">'
            f'<b>{found[0]:.3f}</b>{"=" if same else ""}</td>')


def means(results, names, metric, base, title):
    floor = figures.mean_noise(results, metric)
    return line([title, f"to {base}"] + [mean_cell(figures.geometric(results, name, base, metric), floor, name == base)
                                         for name in names], "mean")


def metric_table(results, names, metric):
    groups, rows = wording.groups_of(results), []
    for group, members in groups.items():
        if len(groups) > 1:
            rows.append(f'<tr class="group"><td colspan="{len(names) + 2}">{text(group)}</td></tr>')
        for key, result in members.items():
            title = f'<td title="{text(result["about"])}">{text(key)}</td>'
            rows.append(line([title, wording.best_text(result, metric)] + [cell(result, name, metric) for name in names]))
        if len(groups) > 1 and len(members) > 1:
            rows.append(means(members, names, metric, "best", "geometric mean"))
    if len(results) > 1:
        rows += [means(results, names, metric, base, "all, geometric mean") for base in ("best", "glibc")]
    return table([TITLES[metric], "best", *names], rows)


def summary(results, names):
    floors = {metric: figures.mean_noise(results, metric) for metric in figures.METRICS}
    rows = [line([name] + [mean_cell(figures.geometric(results, name, "best", metric), floors[metric])
                           for metric in figures.METRICS])
            for name in names]
    return table(["geometric mean, to the best", *(TITLES[metric] for metric in figures.METRICS)], rows)


def one_table(key, result):
    head, rows = single.rows(result)
    return f"<h2>{text(key)}</h2>" + table(head, [line(row) for row in rows]) + (
        f"<p class='soft'>Medians of {len(result['rounds'])} rounds; ratio to glibc with its 95 % interval; - surely less, "
        "+ surely more, = cannot be told.</p>")


def failures(results, names):
    rows = [line([key, name, f'<td class="failed">{text(wrong)}</td>']) for key, result in results.items() for name in names
            if (wrong := figures.failure(result, name))]
    return ["<h2>What failed</h2>", table(["benchmark", "allocator", ""], rows)] if rows else []


def misses(results, names):
    if figures.PAIR[0] not in names:
        return []
    rows = [line([key, TITLES[metric], f"{found[0]:.2f}",
                  wording.interval_text(found) + wording.doubt(results[key], found, metric), best])
            for key, metric, found, best in wording.misses(results)]
    tolerated = ", ".join(f"{most:.2f} ({TITLES[metric].lower()})" for metric, most in wording.TOLERATED.items())
    return ["<h2>Misses</h2>", f"<p>Where myalloc is worse than the best by more than {text(tolerated)}.</p>",
            table(["benchmark", "", "ratio", "95 %", "best"], rows) if rows else "<p>None.</p>"]


def counts(document, names):
    results, parts = document["benchmarks"], []
    said = [line([f"{key} {figure}", unit, *(f"{by[name]:.4g}" if name in by else "–" for name in names)])
            for key, result in results.items() for figure, (unit, by) in wording.said_figures(result).items()]
    if said:
        parts += ["<h3>What the loads count themselves</h3>", table(["medians", "unit", *names], said)]
    steady = [line([key, *(wording.steadiness(result, name) for name in names)]) for key, result in results.items()
              if result.get("steady")]
    if steady:
        parts += [f"<h3>{wording.STEADY_TITLE}</h3>", table(["", *names], steady)]
    rows = [line([key] + ([counted["status"]] if "status" in counted else
                          [f"{counted[name]:.3f}" for name in ("locks", "waits", "rmws", "oscalls")]))
            for key, counted in wording.counter_rows(results)]
    if rows:
        parts += ["<h3>myalloc, debug build: per 1000 operations</h3>",
                  table(["", "locks", "waits", "atomic read-modify-writes", "OS calls"], rows)]
    if counted := document["instructions"]:
        rows = [line([name] + ([f"no figure: {found}"] if isinstance(found, str) else
                               [f"{one:.0f} / {many:.0f}" for one, many in found])) for name, found in counted["counts"].items()]
        parts += ["<h3>Instructions of a malloc and its free, by callgrind: one block at a time / a hundred live</h3>",
                  table(["bytes", *counted["sizes"]], rows)]
    return ["<h2>Exact counts</h2>", *parts] if parts else []


def memory_over_time(results, names):
    parts, size = ["<h2>Memory over time</h2>", "<p class='soft'>Resident memory in the first round of each; where a program "
                   "starts others, of all together.</p>"], 0
    for group, members in wording.groups_of(results).items():
        drawn = []
        for key, result in members.items():
            plot = plots.over_time(result, names) if size < PLOTS_MOST else ""
            size += len(plot)
            note = "" if plot else " <small>(no plot: too short, or no room left in this file)</small>"
            drawn.append(f"<figure><figcaption>{text(key)}{note}</figcaption>{plot}</figure>")
        keys = " ".join(f'<span style="color:{colour}">■</span> {text(name)}' for name, colour in plots.colours(names).items()
                        if name != figures.PAIR[1])
        parts.append(f"<details open=''><summary>{text(group)}: {keys}</summary>{''.join(drawn)}</details>")
    return parts


def facts(document):
    rows = "".join(f"<dt>{text(key)}</dt><dd>{text(value) or '–'}</dd>" for key, value in document["machine"].items())
    left_out = "".join(f"<dt>left out</dt><dd>{text(key)}: {text(why)}</dd>" for key, why in document["left out"].items())
    return f"<dl>{rows}{left_out}</dl>"


def introduction(document):
    results = document["benchmarks"]
    parts = ["<h1>Allocators compared</h1>",
             "<p>Ratios to the best of the other allocators <em>on each benchmark</em>: 1.00 is the best there is. They are medians "
             "of ratios within rounds; point at a figure for its 95 % interval and its ratio to glibc. Green: at least as "
             "good as the best; red: far from it; grey with =: cannot be told from it. <code>copy</code> equals the "
             f"allocator before it: what differs between the two is noise.</p><p>{text(wording.noise_text(results))} "
             f"{text(wording.once_text(results))}</p>"]
    if advice := document.get("advice"):
        parts.append("<h2>For this program</h2><p>" + "<br/>".join(map(text, advice)) + "</p>")
    return parts


def write(document, path):
    results, names = document["benchmarks"], names_of(document["benchmarks"])
    parts = introduction(document)
    if len(results) > 1:
        parts += ["<h2>Summary</h2>", summary(results, names), "<h2>Time against memory</h2>",
                  plots.scatter(results, names)]
    else:
        parts += [one_table(*found) for found in results.items()]
    parts += failures(results, names) + misses(results, names)
    for metric in wording.TABLES:
        parts.append(f"<h2>{TITLES[metric]}</h2>")
        if len(results) > 1:
            parts.append(metric_table(results, names, metric))
        if metric != "faults" or len(results) == 1:
            parts += [plots.bars(members, names, metric) for members in wording.groups_of(results).values()]
    if drawn := plots.scaling(results, names):
        parts += ["<h2>Scaling with threads</h2>", drawn]
    parts += counts(document, names) + memory_over_time(results, names) + ["<h2>Machine and versions</h2>", facts(document)]
    path.write_text('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/><title>Allocators compared</title>'
                    f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n")
