# SPDX-License-Identifier: MIT
"""What one program's figures say about which allocator to run it on, and how sure that is."""
import math

import numpy

import figures
from figures import PAIR, names_of

WORDS = {"time": "time", "cpu": "CPU time", "peak": "peak memory", "average": "average memory"}
DECISIVE = ("time", "peak")
ROUNDS_LEAST = 5     # fewer recommend nothing
ROUNDS_SENSIBLE = 200
NOISY = 0.05         # a machine on which equal libraries differ by more in time
SHORT = 0.02         # seconds; a shorter program shows how an allocator starts


def percent(ratio):
    return f"{abs(1 - ratio):.1%}" if abs(1 - ratio) < 0.1 else f"{abs(1 - ratio):.0%}"


def sign_of(result, name, metric):
    """-1, 0 or 1 against glibc: surely less, not told apart, surely more."""
    return figures.differs(result, figures.ratio(result, name, "glibc", metric), metric)


def said_of(result, name, signs):
    """`time 12% less, peak memory 3.1% more; no sure difference in CPU time`."""
    sure = [f"{WORDS[metric]} {percent(figures.ratio(result, name, 'glibc', metric)[0])} {'less' if sign < 0 else 'more'}"
            for metric, sign in signs.items() if sign]
    unsure = ", ".join(WORDS[metric] for metric, sign in signs.items() if not sign)
    return ", ".join(sure) + ("; " if sure and unsure else "") + (f"no sure difference in {unsure}" if unsure else "")


def compared(result):
    """Lines on each allocator; name -> signs of its metrics."""
    lines, signs = [], {}
    for name in names_of({0: result}):
        if name in ("glibc", PAIR[1]):
            continue
        if figures.failure(result, name):
            lines.append(f"  {name}: does not work with this program: {figures.failure(result, name)}")
            continue
        signs[name] = {metric: sign_of(result, name, metric) for metric in WORDS}
        lines.append(f"  {name}: {said_of(result, name, signs[name])}")
    return lines, signs


def score(result, name):
    """The smaller the better: time ratio times peak ratio."""
    return math.prod(figures.ratio(result, name, "glibc", metric)[0] for metric in DECISIVE)


def not_told_apart(result, best, names):
    return [name for name in names if name != best and
            not any(figures.differs(result, figures.ratio(result, best, name, metric), metric) for metric in DECISIVE)]


def recommend(result, signs):
    """The line of recommendation for allocators with these signs."""
    winners = [name for name, sign in signs.items()
               if min(sign[m] for m in DECISIVE) < 0 and max(sign[m] for m in DECISIVE) <= 0]
    if winners:
        best = min(winners, key=lambda name: score(result, name))
        rivals = not_told_apart(result, best, winners)
        gains = " and ".join(f"{percent(figures.ratio(result, best, 'glibc', m)[0])} less {WORDS[m]}"
                             for m in DECISIVE if signs[best][m] < 0)
        rest = [WORDS[m] for m in DECISIVE if signs[best][m] == 0]
        also = f"; no sure difference in {rest[0]}" if rest else ""
        return [f"Recommendation: {best}. It takes {gains} than glibc{also}. Sure: the 95 % intervals of "
                f"{len(result.rounds)} rounds lie beyond the noise."
                + (f" Not told apart from it: {', '.join(rivals)}." if rivals else "")]
    lines = ["Recommendation: stay with glibc. No other is surely better in time or peak memory without being surely worse in "
             "the other."]
    for name, sign in signs.items():
        if min(sign[m] for m in DECISIVE) < 0:
            better, worse = sorted(DECISIVE, key=lambda m: sign[m])
            lines.append(f"  If {WORDS[better]} matters more than {WORDS[worse]}: {name}.")
    return lines


def rounds_wanted(result, name):
    """How many rounds would probably tell a difference in time that the median shows and the interval does not; None if
    there is none beyond the noise."""
    middle, low, high = figures.ratio(result, name, "glibc", "time")
    beyond = abs(middle - 1) - result.noise["time"]
    if beyond <= 0 or high == low:
        return None
    half = middle - low if middle > 1 else high - middle
    return math.ceil(len(result.rounds) * max((half / beyond) ** 2, 1.2))


def doubts(result, signs):
    lines = []
    wanted = {name: rounds_wanted(result, name) for name, sign in signs.items() if sign["time"] == 0}
    wanted = {name: count for name, count in wanted.items() if count}
    if wanted:
        most = min(max(wanted.values()), ROUNDS_SENSIBLE)
        lines.append(f"More runs are needed to tell {', '.join(wanted)} from glibc in time: --runs {most}.")
    spared = [f"{name} takes {percent(figures.ratio(result, name, 'glibc', 'cpu')[0])} less" for name, sign in signs.items()
              if sign["cpu"] < 0 and sign["time"] == 0]
    if spared:
        lines.append(f"In CPU time, which other programs on the machine disturb less, {', '.join(spared)} than glibc.")
    if result.noise["time"] > NOISY:
        lines.append(f"Equal libraries differed by up to {result.noise['time']:.0%} in time: on a quieter machine, or with "
                     "more --runs, smaller differences would show.")
    if numpy.median(figures.values(result, "glibc", "time")) < SHORT:
        lines.append("The program is so short that its time is mostly that of starting: a longer job would tell more.")
    return lines


def advice(result, allowed=(0,)):
    """Lines."""
    if not names_of({0: result}) or figures.values(result, "glibc", "time") is None:
        why = figures.failure(result, "glibc")
        hint = ""
        if why.startswith("exit status ") and allowed == (0,):
            hint = f" If that status is no failure: --allow-exit {why.split()[2].rstrip(':')}."
        return [f"No recommendation: the program fails with the system's malloc already: {why}.{hint}"]
    lines, signs = compared(result)
    if not signs:
        return ["Against the system's malloc:", *lines, "No recommendation: no other allocator took part and works."]
    lines = ["Against the system's malloc (glibc):", *lines]
    floor = "below {:.1%} in time, {:.1%} in peak memory nothing is called a difference (noise).".format(
        *(result.noise[m] for m in DECISIVE))
    if len(result.rounds) < ROUNDS_LEAST:
        return lines + [f"No recommendation: {len(result.rounds)} rounds are too few for a sure one; --runs {ROUNDS_LEAST} "
                        "or more."]
    return lines + [floor[0].upper() + floor[1:], *recommend(result, signs), *doubts(result, signs)]
