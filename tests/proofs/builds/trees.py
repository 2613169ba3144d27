# SPDX-License-Identifier: MIT
"""Builds of their own, each in a tree beside the usual one, and runs of TAP programs as one result each."""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import start
from tap import BUILD, LONG, ROOT, finish, ok  # for the tests, too

TREES = ROOT / "build" / "trees"


class Tree:
    """The sources again, by links, with a build/ folder of their own, made by `make VARIABLE=VALUE...`."""

    def __init__(self, name, **variables):
        self.name = name
        self.root = TREES / re.sub(r"[^\w.]+", "-", name).strip("-")
        self.build = self.root / "build"
        self.variables = [f"{key}={value}" for key, value in variables.items()]
        self.build.mkdir(parents=True, exist_ok=True)
        for part in ("alloc", "bench", "tests", "tools", "Makefile"):
            if not (self.root / part).is_symlink():
                (self.root / part).symlink_to(ROOT / part)

    def make(self, *targets, told=()):
        """One result: everything is built, and the compilers say nothing; the Makefile says these lines."""
        made = start.run(["make", "-s", "-j2", "-C", self.root, *self.variables, *targets], text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=600)
        said = [line for line in made.stdout.splitlines() if not re.match(r"  (CC|CXX|AR) ", line)]
        return ok(made.returncode == 0 and said == list(told), f"{self.name}: builds without a warning", made.stdout)


def run(name, command, limit=100, **extra):
    """One result: the program passes all that it planned."""
    env = dict(os.environ, **{key: str(value) for key, value in extra.items()})
    try:
        ran = start.run([str(word) for word in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                        timeout=limit)
        output, status = ran.stdout.decode(errors="replace"), ran.returncode
    except start.Late as late:
        output, status = f"{(late.stdout or b'').decode(errors='replace')}\n{late}", None
    passed, plan = len(re.findall(r"^ok ", output, re.M)), re.search(r"^1\.\.(\d+)$", output, re.M)
    good = status == 0 and plan is not None and 0 < int(plan.group(1)) == passed
    return ok(good, f"{name}: {passed} tests", f"status {status}\n{output}")
