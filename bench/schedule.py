# SPDX-License-Identifier: MIT
"""Which runs are made, and in which order, so that what the machine does meanwhile hits all allocators alike.

A warm-up round of every benchmark, which is not counted but tells how long each takes; then round after round over all
benchmarks; steady loads, whose runs are long, get one round and no warm-up. Within a round the allocators come in random order, in the next one in the reverse of it (ABBA). While time is
left, more rounds go to the benchmark whose interval is the widest."""
import dataclasses
import pathlib
import random
import time

import measuring

STEAL_MOST = 0.02  # of a round's time; above, the host gave our time to others and the round does not count
STEAL_TICKS = 2    # fewer are within the clock's grain
NARROW = 0.01      # half the width of an interval at which more rounds teach nothing
LEFT_OUT_SLOW = "marked slow, which --quick leaves out"
LEFT_OUT_TIME = "no time left for it"


@dataclasses.dataclass
class Plan:
    rounds: int = 5           # at least
    rounds_most: int = 25
    seconds: float = 28 * 60  # for everything
    quick: bool = False       # benchmark by benchmark without a warm-up, until the time is spent


class Course:
    """One benchmark on its way through the rounds."""

    def __init__(self, benchmark, names):
        self.benchmark, self.order = benchmark, list(names)
        self.rounds, self.dropped, self.cost, self.tries = [], [], 0.0, 0
        self.hung, self.width = {}, float("inf")
        self.once = getattr(benchmark, "steady", False)  # one round without warm-up: each run is long
        if self.once:
            self.cost = benchmark.seconds * len(self.order)

    def next_order(self):
        if self.tries % 2 == 0:
            random.shuffle(self.order)
        else:
            self.order.reverse()
        self.tries += 1
        return list(self.order)

    def result(self):
        b = self.benchmark
        return {"about": b.about, "group": getattr(b, "group", "programs"), "command": [str(word) for word in b.command],
                "environment": b.environment, "tree": getattr(b, "tree", False), "steady": getattr(b, "steady", False),
                "rounds": self.rounds, "dropped": self.dropped}


def steal_and_total():
    """Clock ticks so far that the host took from us, and all."""
    ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


def spoiled(found):
    return found["stolen"] >= STEAL_TICKS and found["steal"] > STEAL_MOST


class Schedule:
    def __init__(self, chosen, libraries, place, plan, progress, widest, run_once=measuring.run_once, steal=steal_and_total,
                 started=None):
        self.libraries, self.place, self.plan, self.progress = libraries, place, plan, progress
        self.widest, self.run_once, self.steal = widest, run_once, steal
        self.courses = [Course(benchmark, libraries) for benchmark in chosen]
        self.interrupted = False
        self.left_out, self.started = {}, time.monotonic() if started is None else started

    def wanted(self, course):
        """Rounds that must be made."""
        return 1 if course.once else self.plan.rounds

    def left(self):
        """Seconds."""
        return self.started + self.plan.seconds - time.monotonic()

    def one_round(self, course, series):
        """Runs each allocator once. One that hung is not started again: it would take the whole limit each time."""
        order, found, begun = course.next_order(), {}, time.monotonic()
        stolen, total = self.steal()
        for name in order:
            if name in course.hung:
                found[name] = {"status": course.hung[name]}
                continue
            self.progress.show(f"{self.courses.index(course) + 1}/{len(self.courses)} {course.benchmark.name} with {name}",
                               self.expected())
            found[name] = self.run_once(course.benchmark, self.libraries[name].library, self.place, series)
            if found[name]["status"].startswith("hung"):
                course.hung[name] = found[name]["status"]
        stolen_after, total_after = self.steal()
        course.cost = time.monotonic() - begun
        stolen = stolen_after - stolen
        return {"order": order, "stolen": stolen, "steal": stolen / max(total_after - total, 1),
                "samples": {name: found[name] for name in self.libraries}}

    def counted_round(self, course):
        """One round, made again if it was spoiled; no more than `rounds` times for a benchmark, never a steady one: what
        that is about is memory."""
        while True:
            found = self.one_round(course, series=not course.rounds)
            if course.once or not spoiled(found) or len(course.dropped) >= self.plan.rounds:
                course.rounds.append(found)
                course.width = self.widest(course.rounds) if len(course.rounds) >= 2 else float("inf")
                return
            course.dropped.append(found)

    def expected(self):
        """Seconds until the end: what the rounds that must be made will take, or the time that may be spent."""
        known = [course.cost for course in self.courses if course.cost]
        if not known:
            return None
        typical = sum(known) / len(known)
        need = sum((course.cost or typical) * (max(self.wanted(course) - len(course.rounds), 0) + (course.cost == 0))
                   for course in self.courses)
        return self.left() if self.plan.quick else max(need, self.left() if self.wide() else 0)

    def wide(self):
        """The courses for which more rounds would teach something, the widest first."""
        return [course for course in sorted(self.courses, key=lambda course: -course.width)
                if not course.once and course.width > NARROW and len(course.rounds) < self.plan.rounds_most]

    def run_full(self):
        self.progress.note("warm-up")
        for course in self.courses:
            if not course.once:
                self.one_round(course, False)
        need = sum(course.cost * self.wanted(course) for course in self.courses)
        if need > self.left():
            self.progress.say(f"{self.plan.rounds} rounds will take about {need / 60:.1f} minutes, {max(self.left(), 0) / 60:.1f} "
                              "are left: this run will be late. --only picks benchmarks, --rounds and --quick do less")
        for number in range(1, self.plan.rounds + 1):
            self.progress.note(f"round {number} of at least {self.plan.rounds}", always=True)
            for course in self.courses:
                if number <= self.wanted(course):
                    self.counted_round(course)
        self.run_extra()

    def run_extra(self):
        told = False
        while True:
            fitting = [course for course in self.wide() if course.cost * 1.2 < self.left()]
            if not fitting:
                return
            if not told:
                self.progress.note("more rounds where intervals are wide", always=True)
            told = True
            self.counted_round(fitting[0])

    def run_quick(self):
        """As many benchmarks as fit, groups in turn, so that each has some."""
        groups = {}
        for course in self.courses:
            groups.setdefault(getattr(course.benchmark, "group", "programs"), []).append(course)
        ordered = [members[i] for i in range(len(self.courses)) for members in groups.values() if i < len(members)]
        for course in ordered:
            if getattr(course.benchmark, "slow", False):
                self.left_out[course.benchmark.name] = LEFT_OUT_SLOW
            elif self.left() < self.needed(ordered):
                self.left_out[course.benchmark.name] = LEFT_OUT_TIME
            else:
                self.progress.note("quick")
                while len(course.rounds) < self.wanted(course):
                    self.counted_round(course)

    def needed(self, courses):
        """Seconds that the next benchmark will probably take: as long as the mean of those before."""
        known = [course.cost for course in courses if course.cost]
        return sum(known) / len(known) * self.plan.rounds if known else 0

    def run(self):
        """Name -> result of the benchmarks with at least two rounds, or all of theirs. An interrupt ends the measuring, not the report."""
        try:
            self.run_quick() if self.plan.quick else self.run_full()
        except KeyboardInterrupt:
            self.interrupted = True
            self.progress.say("interrupted: the report is of the rounds made so far")
        done = [course for course in self.courses if len(course.rounds) >= min(2, self.wanted(course))]
        for course in self.courses:
            if course not in done:
                self.left_out.setdefault(course.benchmark.name, "interrupted")
        self.progress.end()
        return {course.benchmark.name: course.result() for course in done}
