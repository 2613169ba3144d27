# SPDX-License-Identifier: MIT
"""Which allocator a program is best run on: differences in time and memory weighed against each other.

A difference counts if it is sure (figures.differs) and if it matters in absolute terms, too: to what is compared, BASE is
added, what nobody notices. So a tenth of a millisecond or half a MiB is little, however many times as much it may be of a small
program, and the same ratio is much where it is many seconds or hundreds of MiB. An effect is the logarithm of the ratio that is
left: effects of time and memory can be added, and count the same.

One allocator outweighs another if what it gains is at least PRICE times what it costs. Those between which neither does are
rivals: one is faster, one is smaller, and only who runs the program knows which of that matters."""
import dataclasses
import functools
import math

import numpy

import figures
from figures import PAIR, names_of

BASE = {"time": 0.010, "cpu": 0.010, "peak": 16 * 1024.0, "average": 16 * 1024.0}  # seconds, KiB
SLIGHT = 0.01   # a smaller effect is none
PRICE = 2.0
FLOOR = "empty" # the allocator that is none (allocators.FLOOR)


@dataclasses.dataclass
class Verdict:
    ranking: list  # of lists of names that are not told apart; the best first
    best: str
    equals: list   # not told apart from the best
    rivals: list   # that it does not outweigh: the fastest first, the smallest last


def pays(*effects):
    """Whether what they gain is worth what they cost."""
    gain, cost = -sum(e for e in effects if e < 0), sum(e for e in effects if e > 0)
    return gain > 0 and gain >= PRICE * cost


class Scales:
    """The allocators of one program that work with it. `base`: the one by whose rounds the amounts of others are told; it must
    work."""

    def __init__(self, result, base="glibc"):
        self.result, self.base = result, base
        self.names = [name for name in names_of({0: result})
                      if name not in (PAIR[1], FLOOR) and not figures.failure(result, name)]
        # Of a server both count: how long its client waited, and how much of the machine it took.
        self.speeds = ("time", "cpu") if result.client else ("time",)
        self.sign = functools.cache(self.sign)

    def sign(self, name, other, metric):
        """-1, 0 or 1: surely less than the other, not told apart, surely more. Always of the later over the earlier, as the
        tables have it to glibc: near the noise the inverse may come out otherwise."""
        if self.names.index(name) < self.names.index(other):
            return -self.sign(other, name, metric)
        return figures.differs(self.result, figures.ratio(self.result, name, other, metric), metric)

    def amount(self, name, metric):
        """What it takes: the median of the base times the median of the ratios to it, so that rounds are compared within
        themselves."""
        base = float(numpy.median(figures.values(self.result, self.base, metric)))
        return base * figures.ratio(self.result, name, self.base, metric)[0]

    def weight(self, name, other, metric):
        above, below = (self.amount(one, metric) + BASE[metric] for one in (name, other))
        return math.log(above / below)

    def effect(self, name, other, metric):
        """Below 0 if it takes less than the other; 0 if that is not sure, or does not matter."""
        found = self.weight(name, other, metric) if self.sign(name, other, metric) else 0.0
        return found if abs(found) >= SLIGHT else 0.0

    def speed(self, name, other):
        return sum(self.effect(name, other, metric) for metric in self.speeds) / len(self.speeds)

    def memory(self, name, other):
        return self.effect(name, other, "peak")

    def same(self, name, other):
        return not any(self.effect(name, other, metric) for metric in (*self.speeds, "peak"))

    def outweighs(self, name, other):
        return pays(self.speed(name, other), self.memory(name, other))

    def order(self):
        """The best first. What is sure between two decides; otherwise their medians."""
        raw = {name: sum(self.weight(name, "glibc", metric) for metric in self.speeds) / len(self.speeds)
               + self.weight(name, "glibc", "peak") for name in self.names}
        found = sorted(self.names, key=raw.get)
        for _ in found:
            for at in range(len(found) - 1):
                first, second = found[at:at + 2]
                if self.speed(second, first) + self.memory(second, first) < 0:
                    found[at:at + 2] = second, first
        return found


def groups_of(scales, order):
    """Each with those that are not told apart from its first; glibc before its equals."""
    found = []
    for name in order:
        if found and scales.same(name, found[-1][0]):
            found[-1].append(name)
        else:
            found.append([name])
    return [sorted(group, key=lambda name: name != "glibc") for group in found]


def weigh(result):
    """The Verdict on one program; glibc must work. Nobody need preload what is not told apart from glibc."""
    scales = Scales(result)
    order = scales.order()
    best = "glibc" if scales.same("glibc", order[0]) else order[0]
    equals = [name for name in order if name != best and scales.same(name, best)]
    rivals = [name for name in order if name != best and name not in equals and not scales.outweighs(best, name)]
    rivals = [name for name in rivals if not any(scales.outweighs(other, name) for other in rivals)]
    rivals.sort(key=lambda name: scales.speed(name, best) - scales.memory(name, best))
    return Verdict(groups_of(scales, order), best, equals, rivals)
