# SPDX-License-Identifier: MIT
"""What the tests of the harness share: comparisons, runs of it, and where its parts are."""
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BENCH = HERE.parents[2] / "bench"
BUILD = pathlib.Path(os.environ.get("MYALLOC_BUILD", HERE.parents[2] / "build"))
DUMMIES = BUILD / "tests/tools/bench"
sys.path[:0] = [str(BENCH), str(HERE.parents[1])]
import document
import start
from tap import finish, ok, settings  # for the tests, too


def near(found, wanted, share, name):
    """Within `share` of what is wanted."""
    return ok(found is not None and abs(found - wanted) <= share * abs(wanted), f"{name}: {found:.4g}, {wanted:.4g} wanted")


def between(low, found, high, name):
    return ok(low <= found <= high, f"{name}: {found:.4g} lies between {low:g} and {high:g}")


def dummy(name):
    return f"{name}={DUMMIES}/{name}.so"


def call(*command, limit=60, **extra):
    """Exit status, stdout and stderr."""
    done_ = start.run([str(word) for word in command], capture_output=True, text=True, timeout=limit,
                      env=dict(os.environ, **extra))
    return done_.returncode, done_.stdout, done_.stderr


class Run:
    """One run of bench/run on a program: its status, texts, page and document, or what is wrong with that."""

    def __init__(self, allocators, *program, options=()):
        with tempfile.TemporaryDirectory() as folder:
            files = pathlib.Path(folder)
            self.status, self.text, self.errors = call(
                BENCH / "run", "--alloc", ",".join(["glibc",
                                                    *allocators]), "--minutes", "0.01", "--json", files / "j", "--html",
                files / "h", *options, "--", *program)
            self.document, self.problem = None, ""
            try:
                self.document = document.load(files / "j")
            except document.Wrong as error:
                self.problem = str(error)
            self.page = (files / "h").read_text() if (files / "h").exists() else ""

    def result(self):
        return next(iter(self.document.benchmarks.values()))
