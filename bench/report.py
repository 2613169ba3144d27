# SPDX-License-Identifier: MIT
"""Tables for the terminal."""
import figures
import single
from figures import PAIR, differs, names_of
from wording import (STEADY_TITLE, TABLES, TITLES, TOLERATED, best_text, counter_rows, doubt, groups_of, interval_text,
                     misses, noise_text, once_text, said_figures, steadiness)

WIDTH = 14


def cell(result, name, metric):
    """`1.02= 0.48`: ratio to the best, = if it cannot be told from it, ratio to glibc."""
    if figures.failure(result, name):
        return "FAILED"
    best = figures.best_peer(result, metric)
    found, to_glibc = figures.to_best(result, name, metric), figures.ratio(result, name, "glibc", metric)
    if not found:
        return "-"
    mark = "=" if name != best and not differs(result, found, metric) else " "
    return f"{found[0]:.2f}{mark}" + (f"{to_glibc[0]:5.2f}" if to_glibc else "")


def mean_cell(results, name, metric, floor):
    found = [figures.geometric(results, name, base, metric) for base in ("best", "glibc")]
    if not found[0]:
        return "-"
    return f"{found[0][0]:.2f}{' ' if figures.beyond(found[0], floor) else '='}" + (f"{found[1][0]:5.2f}" if found[1] else "")


def interval_cell(results, name, base, metric, floor):
    """`0.874±0.186=`: a geometric mean, = if it cannot be told from 1."""
    found = figures.geometric(results, name, base, metric)
    if not found:
        return "-"
    return f"{found[0]:.3f}±{(found[2] - found[1]) / 2:.3f}{' ' if name == base or figures.beyond(found, floor) else '='}"


def row(title, second, cells):
    print(f"{title:21.21}{second:>11}" + "".join(f"{text:>{WIDTH}}" for text in cells))


def print_table(results, metric):
    names, groups = names_of(results), groups_of(results)
    print(f"\n{TITLES[metric]}")
    row("", "best", names)
    for group, members in groups.items():
        if len(groups) > 1:
            print(f"-- {group}")
        for key, result in members.items():
            row(key, best_text(result, metric), (cell(result, name, metric) for name in names))
        if len(groups) > 1 and len(members) > 1:
            floor = figures.mean_noise(members, metric)
            row("   geometric mean", "", (mean_cell(members, name, metric, floor) for name in names))
    if len(results) > 1:
        floor = figures.mean_noise(results, metric)
        for base in ("best", "glibc"):
            row("ALL, geometric mean", f"to {base}", (interval_cell(results, name, base, metric, floor) for name in names))
        counts = [figures.geometric(results, name, "best", metric) for name in names]
        all_ = len(figures.averaged(results))
        if any(not found or found[3] != all_ for found in counts):
            row("  of how many", f"of {all_}", (str(found[3]) if found else "0" for found in counts))


def print_misses(results):
    if PAIR[0] not in names_of(results) or len(results) == 1:
        return
    print("\nMisses: where myalloc is worse than the best by more than "
          + ", ".join(f"{most:.2f} ({metric})" for metric, most in TOLERATED.items()))
    found = misses(results)
    for key, metric, ratio, best in found:
        print(f"  {key:20} {metric:8}{ratio[0]:6.2f} of {best} ({interval_text(ratio)}{doubt(results[key], ratio, metric)})")
    if not found:
        print("  none")


def print_against(results):
    """myalloc over each other allocator: who is the strongest rival as a whole."""
    names = names_of(results)
    if PAIR[0] not in names or len(results) < 2:
        return
    others = [name for name in names if name != PAIR[0]]
    print("\nmyalloc relative to each other allocator, geometric means over all benchmarks")
    row("", "", others)
    for metric in TABLES:
        floor = figures.mean_noise(results, metric)
        row(TITLES[metric], "", (interval_cell(results, PAIR[0], other, metric, floor) for other in others))


def print_figures(results):
    names = names_of(results)
    said = [(key, figure, unit, by) for key, result in results.items() for figure,
            (unit, by) in said_figures(result).items()]
    if said:
        print("\nWhat the loads count themselves, medians")
        row("", "unit", names)
        for key, figure, unit, by in said:
            row(f"{key} {figure}", unit, (f"{by[name]:.4g}" if name in by else "-" for name in names))
    steady = {key: [steadiness(result, name) for name in names] for key, result in results.items() if result.get("steady")}
    if steady:
        print(f"\n{STEADY_TITLE}")
        row("", "", names)
        for key, cells in steady.items():
            row(key, "", cells)


def print_counters(results):
    rows = counter_rows(results)
    if not rows:
        return
    print("\nmyalloc, debug build: per 1000 operations")
    print(f"{'':21}{'locks':>11}{'waits':>11}{'atomic rmw':>11}{'OS calls':>11}")
    for key, counts in rows:
        if "status" in counts:
            print(f"{key:21}  {counts['status']}")
        else:
            print(f"{key:21}" + "".join(f"{counts[name]:11.3f}" for name in ("locks", "waits", "rmws", "oscalls")))


def print_instructions(instructions):
    if not instructions:
        return
    print("\nInstructions of a malloc and its free, by callgrind: one block at a time / a hundred live at once")
    print(f"{'':12}" + "".join(f"{size:>13}" for size in instructions["sizes"]))
    for name, found in instructions["counts"].items():
        if isinstance(found, str):
            print(f"{name:12}  no figure: {found}")
        else:
            print(f"{name:12}" + "".join(f"{f'{one:.0f} / {many:.0f}':>13}" for one, many in found))


def print_failures(results):
    for key, result in results.items():
        for name in names_of({key: result}):
            if figures.failure(result, name):
                print(f"FAILED {key} with {name}: {figures.failure(result, name)}")


def print_notes(document):
    results = document["benchmarks"]
    print()
    if len(results) > 1:
        print("1.02= 0.48: ratio to the best of the others on that benchmark (`=`: cannot be told from it), ratio to glibc.")
    print(noise_text(results))
    if once := once_text(results):
        print(once)
    short = [key for key, result in results.items() if result.get("short")]
    if short:
        print(f"Too short for an average of memory over time, so the peak stands for it: {', '.join(short)}.")
    trees = [key for key, result in results.items() if result.get("tree")]
    if trees:
        print(f"Peak memory of {', '.join(trees)}: the largest sum of proportional set sizes of all its processes that was "
              "seen; of the others: the kernel's, of the largest process.")
    dropped = sum(len(result["dropped"]) for result in results.values())
    if dropped:
        print(f"{dropped} rounds dropped, because the host took more than 2 % of their time.")
    for reason in dict.fromkeys(document["left out"].values()):
        print(f"Left out, {reason}: {', '.join(key for key, why in document['left out'].items() if why == reason)}")


def print_all(document):
    results = document["benchmarks"]
    print("\n".join(f"{key}: {value}" for key, value in document["machine"].items()))
    if not results:
        print("No benchmark has two rounds.")
        return
    if len(results) == 1:
        single.print_table(*next(iter(results.items())))
    else:
        for metric in TABLES:
            print_table(results, metric)
    print_against(results)
    print_misses(results)
    print_figures(results)
    print_counters(results)
    print_instructions(document["instructions"])
    print_notes(document)
    print_failures(results)
