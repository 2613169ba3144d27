# SPDX-License-Identifier: MIT
"""Which runs are made, and in which order, so that what the machine does meanwhile hits all allocators alike.

A warm-up round of every benchmark, which is not counted but tells how long each takes; then round after round over all
benchmarks; steady loads, whose runs are long, get one round and no warm-up. Within a round the allocators come in random
order, in the next one in the reverse of it (ABBA). While time is left, more rounds go to the benchmark whose interval is the
widest. A quick run takes the benchmarks one after the other instead, without warm-up, as long as the next one fits into
the time that is left, groups in turn and steady loads last."""
import dataclasses
import pathlib
import random
import statistics
import time

import measuring
from document import Result, Round, Sample

STEAL_MOST = 0.02  # of a round's time; above, the host gave our time to others and the round does not count
STEAL_TICKS = 2    # fewer are within the clock's grain
NARROW = 0.01      # half the width of an interval at which more rounds teach nothing
LEFT_OUT_TIME = "no time left for it"
LEFT_OUT_KNOWN = "no time left for it, which takes {seconds:.0f} s"
LEFT_OUT_LONG = "no time left for a second round of it: the first took {seconds:.0f} s"


@dataclasses.dataclass
class Plan:
    rounds: int = 5           # at least
    rounds_most: int = 25
    seconds: float = 28 * 60  # for everything
    quick: bool = False       # benchmark by benchmark without a warm-up, until the time is spent
    own: bool = False         # one program of the user's: an interrupt gives whatever there is of it
    remedy: str = "--only picks benchmarks, --rounds and --quick do less"  # where the time does not suffice


class Course:
    """One benchmark on its way through the rounds."""

    def __init__(self, benchmark, names):
        self.benchmark, self.order = benchmark, list(names)
        self.rounds, self.dropped, self.tries = [], [], 0
        self.latest = {}              # the last sample of each allocator, also of the warm-up and of a round that was not ended
        self.hung, self.width = {}, float("inf")
        self.measured = None          # seconds of its last round, without the runs that hung: they are not repeated
        self.once = benchmark.steady  # one round without warm-up: each run is long

    def cost(self):
        """Seconds that a round of it takes, None if that is not known: measured, or what the benchmark itself says."""
        return self.measured or self.benchmark.seconds * len(self.order) or None

    def next_order(self):
        if self.tries % 2 == 0:
            random.shuffle(self.order)
        else:
            self.order.reverse()
        self.tries += 1
        return list(self.order)

    def result(self):
        b = self.benchmark
        return Result(b.about, b.group, [str(word) for word in b.command], b.environment, b.tree, b.steady, self.rounds,
                      self.dropped, client=b.service and b.service.client)


def steal_and_total():
    """Clock ticks so far that the host took from us, and all."""
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


def spoiled(found):
    return found.stolen >= STEAL_TICKS and found.steal > STEAL_MOST


class Schedule:
    def __init__(self, chosen, libraries, place, plan, progress, widest, run_once=measuring.run_once, steal=steal_and_total,
                 started=None):
        self.libraries, self.place, self.plan, self.progress = libraries, place, plan, progress
        self.widest, self.run_once, self.steal = widest, run_once, steal
        self.courses = [Course(benchmark, libraries) for benchmark in chosen]
        self.sequence = self.in_turn() if plan.quick else self.courses
        self.interrupted = False
        self.left_out, self.started = {}, time.monotonic() if started is None else started

    def wanted(self, course):
        """Rounds that must be made."""
        return 1 if course.once else self.plan.rounds

    def left(self):
        """Seconds."""
        return self.started + self.plan.seconds - time.monotonic()

    def estimate(self, course):
        """Seconds that a round of it will take: its own, else the median of those measured; None without any. What a
        benchmark says of itself counts for itself alone, and no mean is taken: a steady load takes fifty times as long as
        the others, which would seem not to fit either."""
        measured = [other.measured for other in self.courses if other.measured]
        return course.cost() or (statistics.median_low(measured) if measured else None)

    def one_round(self, course, series):
        """Runs each allocator once. One that hung is not started again: it would take the whole limit each time."""
        order, found, hung, begun = course.next_order(), {}, 0.0, time.monotonic()
        stolen, total = self.steal()
        for name in order:
            if name in course.hung:
                found[name] = Sample(course.hung[name])
                continue
            self.progress.show(self.described(course, name), self.expected(time.monotonic() - begun))
            started = time.monotonic()
            found[name] = self.run_once(course.benchmark, self.libraries[name].library, self.place, series)
            course.latest[name] = found[name]
            if found[name].status.startswith("hung"):
                course.hung[name] = found[name].status
                hung += time.monotonic() - started
        stolen_after, total_after = self.steal()
        course.measured = time.monotonic() - begun - hung
        stolen = stolen_after - stolen
        return Round(order, stolen, stolen / max(total_after - total, 1), {name: found[name] for name in self.libraries})

    def described(self, course, name):
        if self.plan.own:
            return f"with {name}"
        return f"{self.sequence.index(course) + 1}/{len(self.courses)} {course.benchmark.name} with {name}"

    def counted_round(self, course):
        """One round, made again if it was spoiled; no more than `rounds` times for a benchmark, never a steady one: what
        that is about is memory."""
        while True:
            found = self.one_round(course, series=not course.rounds)
            if course.once or not spoiled(found) or len(course.dropped) >= self.plan.rounds:
                course.rounds.append(found)
                course.width = self.widest(course.result()) if len(course.rounds) >= 2 else float("inf")
                return
            course.dropped.append(found)

    def expected(self, gone=0.0):
        """Seconds until the end: what the rounds that must be made will take, or the time that may be spent. So many seconds
        of the round that is being made are gone."""
        if not any(course.measured for course in self.courses) and not all(course.cost() for course in self.courses):
            return None
        warm_ups = {course: not (course.measured or course.once) for course in self.courses}
        need = sum(self.estimate(course) * (max(self.wanted(course) - len(course.rounds), 0) + warm_ups[course])
                   for course in self.courses)
        return self.left() if self.plan.quick else max(need - gone, self.left() if self.wide() else 0)

    def wide(self):
        """The courses for which more rounds would teach something, the widest first."""
        return [course for course in sorted(self.courses, key=lambda course: -course.width)
                if not course.once and course.width > NARROW and len(course.rounds) < self.plan.rounds_most]

    def run_full(self):
        self.progress.note("warm-up")
        for course in self.courses:
            if not course.once:
                self.one_round(course, False)
        need = sum(course.cost() * self.wanted(course) for course in self.courses)
        if need > self.left():
            left = max(self.left(), 0) / 60
            self.progress.say(f"{self.plan.rounds} rounds will take about {need / 60:.1f} minutes, {left:.1f} are left: "
                              f"this run will be late. {self.plan.remedy}")
        for number in range(1, self.plan.rounds + 1):
            self.progress.note(f"round {number} of at least {self.plan.rounds}", always=True)
            for course in self.courses:
                if number <= self.wanted(course):
                    self.counted_round(course)
        self.run_extra()

    def run_extra(self):
        told = False
        while True:
            fitting = [course for course in self.wide() if course.cost() * 1.2 < self.left()]
            if not fitting:
                return
            if not told:
                self.progress.note("more rounds where intervals are wide", always=True)
                told = True
            self.counted_round(fitting[0])

    def in_turn(self):
        """The courses, groups in turn, so that a quick run has some of each; the steady ones, which are long, last."""
        groups = {}
        for course in self.courses:
            groups.setdefault(course.benchmark.group, []).append(course)
        found = [members[i] for i in range(len(self.courses)) for members in groups.values() if i < len(members)]
        return sorted(found, key=lambda course: course.once)

    def run_quick(self):
        """As many benchmarks as fit."""
        self.progress.note("quick", always=True)
        for course in self.sequence:
            if self.left() >= (self.estimate(course) or 0) * self.wanted(course):
                self.quick_rounds(course)
            elif course.cost():
                self.left_out[course.benchmark.name] = LEFT_OUT_KNOWN.format(seconds=course.cost() * self.wanted(course))
            else:
                self.left_out[course.benchmark.name] = LEFT_OUT_TIME

    def quick_rounds(self, course):
        """The rounds of one benchmark, unless the first takes so long that another no longer fits."""
        self.counted_round(course)
        while len(course.rounds) < self.wanted(course):
            if self.left() < course.measured:
                self.left_out[course.benchmark.name] = LEFT_OUT_LONG.format(seconds=course.measured)
                return
            self.counted_round(course)

    def keep_latest(self):
        """Where no round was ended, what there is makes one."""
        for course in self.courses:
            if not course.rounds and course.latest:
                names = [name for name in self.libraries if name in course.latest]
                course.rounds.append(Round(names, 0, 0.0, {name: course.latest[name] for name in names}))

    def run(self):
        """Name -> result of the benchmarks with at least two rounds, or all of theirs; of an own program whatever there is. An
        interrupt ends the measuring, not the report."""
        try:
            self.run_quick() if self.plan.quick else self.run_full()
        except KeyboardInterrupt:
            self.interrupted = True
            self.progress.say("interrupted: the report is of what was measured so far")
        finally:
            self.progress.end()
        if self.interrupted and self.plan.own:
            self.keep_latest()
        least = 1 if self.plan.own else 2
        done = [course for course in self.courses if len(course.rounds) >= min(least, self.wanted(course))]
        for course in self.courses:
            if course not in done:
                self.left_out.setdefault(course.benchmark.name, "interrupted")
        return {course.benchmark.name: course.result() for course in done}
