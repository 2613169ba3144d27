# SPDX-License-Identifier: MIT
"""Builds of their own, each in a tree beside the usual one, and runs of TAP programs as one result each."""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tap import finish, ok  # for the tests, too

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("MYALLOC_BUILD", ROOT / "build"))
TREES = ROOT / "build" / "trees"


class Tree:
    """The sources again, by links, with a build/ folder of their own, made by `make VARIABLE=VALUE...`."""

    def __init__(self, name, **variables):
        self.name = name
        self.root = TREES / re.sub(r"[^\w.]+", "-", name).strip("-")
        self.build = self.root / "build"
        self.variables = [f"{key}={value}" for key, value in variables.items()]
        self.build.mkdir(parents=True, exist_ok=True)
        for part in ("alloc", "tests", "tools", "Makefile"):
            if not (self.root / part).is_symlink():
                (self.root / part).symlink_to(ROOT / part)

    def make(self, *targets):
        """One result: everything is built, and the compilers say nothing."""
        env = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        made = subprocess.run(["make", "-s", "-j2", "-C", self.root, *self.variables, *targets], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = [line for line in made.stdout.splitlines() if not re.match(r"  (CC|CXX|AR) ", line)]
        return ok(made.returncode == 0 and not said, f"{self.name}: builds without a warning", made.stdout)


def run(name, command, limit=100, **extra):
    """One result: the program passes all that it planned."""
    env = dict(os.environ, **{key: str(value) for key, value in extra.items()})
    try:
        ran = subprocess.run([str(word) for word in command], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=limit, check=False)
        output, status = ran.stdout.decode(errors="replace"), ran.returncode
    except subprocess.TimeoutExpired as late:
        output, status = (late.stdout or b"").decode(errors="replace") + "\ntime limit", None
    passed, plan = len(re.findall(r"^ok ", output, re.M)), re.search(r"^1\.\.(\d+)$", output, re.M)
    good = status == 0 and plan is not None and 0 < int(plan.group(1)) == passed
    return ok(good, f"{name}: {passed} tests", f"status {status}\n{output}")
