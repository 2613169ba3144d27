# SPDX-License-Identifier: MIT
"""What one program's figures say about which allocator to run it on, and how sure that is, in sentences."""
import math

import numpy

import figures
import weighing
import wording
from figures import PAIR, names_of

WORDS = {"time": "time", "cpu": "CPU time", "peak": "peak memory", "average": "average memory"}
ROUNDS_LEAST = 5     # fewer recommend nothing
ROUNDS_SENSIBLE = 200
NOISY = 0.05         # a machine on which equal libraries differ by more in time
SHORT = 0.02         # seconds; a shorter program shows how an allocator starts
TIMES = 1.5          # a larger factor of speed is told as one


def percent(ratio):
    return f"{abs(1 - ratio):.1%}" if abs(1 - ratio) < 0.1 else f"{abs(1 - ratio):.0%}"


def decisive(result):
    return (*(("time", "cpu") if result.client else ("time",)), "peak")


def difference(scales, name, base, metric):
    """`time 12% less (0.5 s)`, `2.4 times as fast (0.5 s less)`; "" if it is not sure."""
    sign = scales.sign(name, base, metric)
    if not sign:
        return ""
    ratio = figures.ratio(scales.result, name, base, metric)[0]
    amount = wording.amount_text(abs(scales.amount(name, metric) - scales.amount(base, metric)), metric)
    if metric == "time" and sign < 0 and ratio < 1 / TIMES:
        return f"{1 / ratio:.1f} times as fast ({amount} less)"
    return f"{WORDS[metric]} {percent(ratio)} {'less' if sign < 0 else 'more'} ({amount})"


def all_differences(scales, name, base, metrics):
    """Of those metrics, and which of them show no sure one."""
    told = {metric: difference(scales, name, base, metric) for metric in metrics}
    unsure = ", ".join(WORDS[metric] for metric, text in told.items() if not text)
    sure = ", ".join(filter(None, told.values()))
    return "; ".join(filter(None, (sure, unsure and f"no sure difference in {unsure}")))


def described(scales, name):
    """One allocator in the ranking."""
    if name == "glibc":
        return ", ".join(wording.amount_text(scales.amount(name, metric), metric)
                         + ("" if metric == "time" else f" {WORDS[metric]}") for metric in decisive(scales.result))
    return all_differences(scales, name, "glibc", WORDS)


def ranking(scales, verdict):
    lines, place = [], 1
    for group in verdict.ranking:
        lines += [f"  {place}. {name}: {described(scales, name)}" for name in group]
        place += len(group)
    return lines


def failures(result):
    return [f"  {name}: does not work with this program: {wrong}" for name in names_of({0: result})
            if name != PAIR[1] and (wrong := figures.failure(result, name))]


def stay(scales, verdict):
    """The recommendation of glibc."""
    others = [name for name in scales.names if name != "glibc"]
    if all(scales.same(name, "glibc") for name in others):
        sure = any(scales.sign(name, "glibc", metric) for name in others for metric in decisive(scales.result))
        why = "The differences are within the noise" + (", or too small to matter." if sure else ".")
    else:
        why = "No other is better, time and memory weighed against each other."
    equals = f" Not told apart from it: {', '.join(verdict.equals)}." if verdict.equals and "within" not in why else ""
    return f"Recommendation: stay with glibc. {why}{equals}"


def choice(scales, verdict):
    """The recommendation where one is faster and one is smaller."""
    names = sorted([verdict.best, *verdict.rivals], key=lambda name: (scales.speed(name, verdict.best),
                                                                      -scales.memory(name, verdict.best)))
    fast, small = names[0], names[-1]
    between = f"; between them: {', '.join(names[1:-1])}" if names[1:-1] else ""
    lines = [f"Recommendation: {fast} is faster, {small} is smaller{between}. {fast}, against {small}: "
             f"{all_differences(scales, fast, small, decisive(scales.result))}.",
             f"  If time matters more than peak memory: {fast}; if not: {small}."]
    if verdict.equals:
        lines.append(f"  Not told apart from {verdict.best}: {', '.join(verdict.equals)}.")
    return lines


def recommend(scales, verdict):
    """Lines."""
    if verdict.rivals:
        return choice(scales, verdict)
    if verdict.best == "glibc":
        return [stay(scales, verdict)]
    equals = f" Not told apart from it: {', '.join(verdict.equals)}." if verdict.equals else ""
    rounds = len(scales.result.rounds)
    return [f"Recommendation: {verdict.best}. Against glibc: "
            f"{all_differences(scales, verdict.best, 'glibc', decisive(scales.result))}. Sure: the 95 % intervals of {rounds} "
            f"rounds lie beyond the noise.{equals}"]


def rounds_wanted(result, name):
    """How many rounds would probably tell a difference in time that the median shows and the interval does not; None if
    there is none beyond the noise."""
    middle, low, high = figures.ratio(result, name, "glibc", "time")
    beyond = abs(middle - 1) - result.noise["time"]
    if beyond <= 0 or high == low:
        return None
    half = middle - low if middle > 1 else high - middle
    return math.ceil(len(result.rounds) * max((half / beyond) ** 2, 1.2))


def doubts(scales):
    lines, result = [], scales.result
    signs = {name: {metric: scales.sign(name, "glibc", metric) for metric in ("time", "cpu")} for name in scales.names[1:]}
    wanted = {name: rounds_wanted(result, name) for name, sign in signs.items() if sign["time"] == 0}
    wanted = {name: count for name, count in wanted.items() if count}
    if wanted:
        most = min(max(wanted.values()), ROUNDS_SENSIBLE)
        lines.append(f"More runs are needed to tell {', '.join(wanted)} from glibc in time: --runs {most}.")
    spared = [f"{name} takes {percent(figures.ratio(result, name, 'glibc', 'cpu')[0])} less" for name, sign in signs.items()
              if sign["cpu"] < 0 and sign["time"] == 0]
    if spared and not result.client:
        lines.append(f"In CPU time, which other programs on the machine disturb less, {', '.join(spared)} than glibc.")
    if result.noise["time"] > NOISY:
        lines.append(f"Equal libraries differed by up to {result.noise['time']:.0%} in time: on a quieter machine, or with "
                     "more --runs, smaller differences would show.")
    if numpy.median(figures.values(result, "glibc", "time")) < SHORT:
        what = "client" if result.client else "program"
        lines.append(f"The {what} is so short that its time is mostly that of starting: a longer job would tell more.")
    return lines


def no_figures(result, allowed):
    """Why nothing can be said: what goes wrong under the system's malloc."""
    why, hint = figures.failure(result, "glibc"), ""
    if why.startswith("exit status ") and allowed == (0,):
        hint = f" If that status is no failure: --allow-exit {why.split()[2].rstrip(':')}."
    return [f"No recommendation: the program fails with the system's malloc already: {why}.{hint}"]


def advice(result, allowed=(0,)):
    """Lines."""
    if "glibc" not in names_of({0: result}):
        return ["No recommendation: interrupted before the program was run with the system's malloc."]
    if figures.values(result, "glibc", "time") is None:
        return no_figures(result, allowed)
    scales = weighing.Scales(result)
    if scales.names == ["glibc"]:
        return ["Against the system's malloc:", *failures(result),
                "No recommendation: no other allocator took part and works."]
    verdict = weighing.weigh(result)
    lines = ["Against the system's malloc (glibc), time and peak memory weighed:", *ranking(scales, verdict), *failures(result)]
    if len(result.rounds) < ROUNDS_LEAST:
        few = f"{len(result.rounds)} rounds are" if len(result.rounds) > 1 else "1 round is"
        return lines + [f"No recommendation: {few} too few for a sure one; --runs {ROUNDS_LEAST} or more."]
    floors = ", ".join(f"{result.noise[metric]:.1%} in {WORDS[metric]}" for metric in decisive(result))
    return lines + [f"Below {floors} nothing is called a difference (noise).", *recommend(scales, verdict), *doubts(scales)]
