# SPDX-License-Identifier: MIT
"""Samples of runs that never were, whose truth is known."""
import numpy

from document import Result, Round, Sample

random = numpy.random.default_rng(7)


def sample(elapsed, peak=1000.0, status="", **more):
    known = {"elapsed": float(elapsed), "user": float(elapsed), "system": 0.0, "peak": float(peak), "tree": 3 * float(peak),
             "average": float(peak), "minor": 100, "major": 0, "voluntary": 1, "involuntary": 1}
    return Sample(status, **{**known, **more})


def result(rounds, **more):
    """Of rounds of samples by allocator."""
    known = {"about": "", "group": "x", "command": ["x"], "environment": {}, "tree": False, "steady": False, "dropped": [],
             "rounds": [Round(list(samples), 0, 0.0, samples) for samples in rounds]}
    return Result(**{**known, **more})


def noisy(truth, spread=0.02, rounds=5):
    """Rounds in which every allocator takes its time, times a factor that the round shares, times its own noise."""
    return result([{name: sample(seconds * shared * random.lognormal(0, spread)) for name, seconds in truth.items()}
                   for shared in random.lognormal(0, 0.3, rounds)])

