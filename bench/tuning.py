# SPDX-License-Identifier: MIT
"""Sets of the library's options on one program: which to try, and what their figures say.

The library as it is plays the part of figures.PAIR, once more as it is that of its copy: what differs between them is noise.
Effects are those of weighing.py, against the library as it is: what is not sure or does not matter counts as nothing. Time is
the mean of the effects of time in calls and processor time, memory that of peak and average."""
import advice
import figures
import weighing
import wording

BASE = figures.PAIR[0]
MIB = 1 << 20
BEST = 3  # options that are looked at again because they seem the best for time, for memory or for both

# One value each. What they do stands in myalloc_options(7).
TRIED = ("decay_ms:0", "decay_ms:100", "decay_ms:10000", "background:on", "hugepages:off", "hugepages:on", "cache_limit:64k",
         "cache_limit:0", "trim_threshold:none", "mmap_threshold:64k", "mmap_threshold:32m", "top_pad:16m", "populate:on")
PACED = ("decay_ms", "background")  # do nothing in a replay without the gaps between calls
ROOM = (1.05, 1.25)  # limits, in parts of the bytes that were live at the most


def parse(text):
    """Options of a text as MYALLOC_OPTIONS has them, in their order; the last value of a key counts."""
    return dict(item.partition(":")[::2] for item in text.split(",") if item)


def line(settings):
    return ",".join(f"{key}:{value}" if value else key for key, value in settings.items())


def limits(live, peak):
    """Limits between what was live at the most and what the library took, in whole MiB."""
    sizes = {max(-(-int(live * part) // MIB), 1) for part in ROOM}
    return [{"limit": f"{size}m"} for size in sorted(sizes) if size < peak // MIB]


def single(own, paced, live, peak):
    """Sets of one option that are not there already."""
    tried = [parse(text) for text in TRIED] + limits(live, peak)
    return [one for one in tried if not one.items() <= own.items() and (paced or not one.keys() & set(PACED))]


class Judgement:
    """What the figures say of sets of options; `sets`: name -> options, without the library as it is."""

    def __init__(self, result, sets):
        self.result, self.scales = result, weighing.Scales(result, BASE)
        self.sets = {name: options for name, options in sets.items() if name in self.scales.names}

    def speed(self, name, other=BASE):
        return sum(self.scales.effect(name, other, metric) for metric in ("time", "cpu")) / 2

    def memory(self, name, other=BASE):
        return sum(self.scales.effect(name, other, metric) for metric in ("peak", "average")) / 2

    def same(self, name, other=BASE):
        return not any(self.scales.effect(name, other, metric) for metric in advice.WORDS)

    def raw_speed(self, name):
        """Of the medians, sure or not."""
        return sum(self.scales.weight(name, BASE, metric) for metric in ("time", "cpu")) / 2

    def raw_memory(self, name):
        return sum(self.scales.weight(name, BASE, metric) for metric in ("peak", "average")) / 2

    def outweighs(self, name):
        return weighing.pays(self.speed(name), self.memory(name))

    def dominates(self, name, other):
        effects = self.speed(name, other), self.memory(name, other)
        return max(effects) <= 0 and min(effects) < 0

    def is_needless(self, name):
        """Whether fewer of its options do the same, or none."""
        parts = [other for other in self.sets if self.sets[other].items() < self.sets[name].items()]
        return self.same(name) or any(self.same(name, other) for other in parts)

    def front(self):
        """Of the library as it is and the sets that need all of their options, those of which no other is better in one of time
        and memory without being worse in the other. The fastest first."""
        names = [BASE, *(name for name in self.sets if not self.is_needless(name))]
        kept = [name for name in names if not any(self.dominates(other, name) for other in names if other != name)]
        return sorted(kept, key=lambda name: (self.speed(name), -self.memory(name)))

    def best(self):
        """Of the sets that outweigh the library as it is, the one that gains most, of equal ones the shortest; None if there is
        none."""
        found = [name for name in self.front() if name != BASE and self.outweighs(name)]
        most = min(found, key=lambda name: self.speed(name) + self.memory(name), default=None)
        equals = [name for name in found if self.same(name, most)]
        return min(equals, key=lambda name: (len(self.sets[name]), found.index(name)), default=None)

    def told(self, name, other=BASE):
        return advice.all_differences(self.scales, name, other, advice.WORDS)


def promising(judgement, weight):
    """The sets with the best medians by a weight, whether that is sure or not: what is measured anew may be wrong."""
    better = [name for name in judgement.sets if weight(name) <= -weighing.SLIGHT]
    return sorted(better, key=weight)[:BEST]


def together(judgement):
    """Sets to measure anew: what seems best alone for time, for memory and for both, and the best of each together, of
    different keys, one more at a time: the last of them may have seemed good by chance, and is needless beside the others
    then."""
    weights = judgement.raw_speed, judgement.raw_memory, lambda name: judgement.raw_speed(name) + judgement.raw_memory(name)
    found = {}
    for weight in weights:
        merged = {}
        for name in promising(judgement, weight):
            found[name] = judgement.sets[name]
            if not judgement.sets[name].keys() & merged.keys():
                merged = dict(sorted({**merged, **judgement.sets[name]}.items()))  # one name, in whatever order they came
                found[line(merged)] = merged
    return found


# ---- in sentences ---------------------------------------------------------------------------------------------------
def front_lines(judgement):
    """The front, where it is more than the library as it is."""
    front = judgement.front()
    if front == [BASE]:
        return []
    lines = ["None of these is both slower and larger than another, the fastest first:"]
    return lines + [f"  {name}: " + ("the library as it is" if name == BASE else judgement.told(name)) for name in front]


def extremes(judgement, chosen):
    """What else to set if only one of both matters."""
    front, lines = [name for name in judgement.front() if name != chosen], []
    for what, effect in (("time", judgement.speed), ("memory", judgement.memory)):
        best = min(front, key=effect, default=chosen)
        if best not in (BASE, chosen) and effect(best, chosen) < 0:
            lines.append(f"  If only {what} matters: {best} (against {'it' if chosen == BASE else 'the line above'}: "
                         f"{judgement.told(best, chosen)}).")
    return lines


def others(judgement):
    """What other allocators give, against the library as it is."""
    names = [name for name in judgement.scales.names if name not in judgement.sets and name != BASE]
    return ["Other allocators, against the library as it is:",
            *(f"  {name}: {judgement.told(name)}" for name in names)] if names else []


def sure(judgement):
    floors = ", ".join(f"{judgement.result.noise[metric]:.1%} in {words}" for metric, words in advice.WORDS.items())
    return (f"Sure: the 95 % intervals of {len(judgement.result.rounds)} rounds, made after the choice, lie beyond the noise "
            f"({floors}); {wording.amount_text(weighing.BASE['peak'], 'peak')} more or less and 10 ms count for little.")


def sentences(judgement, own):
    """The advice, in lines; `own`: the options that are set already."""
    if len(judgement.result.rounds) < advice.ROUNDS_LEAST:
        return [*front_lines(judgement), f"No recommendation: {len(judgement.result.rounds)} rounds are too few for a sure "
                                         f"one; --runs {advice.ROUNDS_LEAST} or more."]
    best = judgement.best()
    if not best:
        kept = f"MYALLOC_OPTIONS={line(own)} as it is" if own else "the library as it is, without options"
        lines = [f"Recommendation: {kept}. Nothing that was tried gains at least {weighing.PRICE:g} times what it costs."]
        return [*front_lines(judgement), *lines, *extremes(judgement, BASE), *others(judgement)]
    chosen = line({**own, **judgement.sets[best]})
    return [*front_lines(judgement), f"Recommendation: MYALLOC_OPTIONS={chosen}", f"  {judgement.told(best)}.", sure(judgement),
            *extremes(judgement, best), *others(judgement)]
