# SPDX-License-Identifier: MIT
"""Heap profiles for tests of `myalloc report`: made, read here without it, and read through it."""
import os
import pathlib
import re
import tempfile

import start
from tap import BUILD, ok

SITES = f"{BUILD}/tests/programs/profile/sites"
KINDS = {"live": [], "all": ["--alloc"], "peak": ["--peak"]}
work = pathlib.Path(tempfile.mkdtemp(prefix="myalloc-report-"))
(work / "home").mkdir()


def run(*command, **options):
    variables = {"PATH": os.environ["PATH"], "HOME": str(work / "home"), **options.pop("env", {})}
    return start.run([str(word) for word in command], **{"capture_output": True, "text": True, "timeout": 100, "env": variables,
                                                         "cwd": work, **options})


def report(*arguments, **options):
    return run(BUILD / "myalloc", "report", *arguments, **options)


def record(program, name, interval=1, seed=7):
    path = work / name
    options = f"profile:1,profile_interval:{interval},profile_seed:{seed},profile_out:{path}"
    result = run(program, env={"LD_PRELOAD": f"{BUILD}/libmyalloc.so", "MYALLOC_OPTIONS": options})
    ok(result.returncode == 0 and path.exists(), f"{name} is written", result.stderr)
    return path


# ---- the profile, read without the command ---------------------------------------------------------------------------

SITE = re.compile(r"^(\d+): (\d+) \[(\d+): (\d+)\] @((?: 0x[0-9a-f]+)*)\n"
                  r"# (.+) class (\d+) samples \d+ peak (\d+): (\d+)(?: (?:lived|tag) .*)?$", re.M)


def sites(path):
    """(stack, {kind: (objects, bytes)}) of each site."""
    return [(match[5].split(), {"live": (int(match[1]), int(match[2])), "all": (int(match[3]), int(match[4])),
                                "peak": (int(match[8]), int(match[9]))}) for match in SITE.finditer(path.read_text())]


def totals(path):
    return {kind: tuple(sum(amounts[kind][i] for _, amounts in sites(path)) for i in (0, 1)) for kind in KINDS}


# ---- what the command writes -------------------------------------------------------------------------------------------

ROW = re.compile(r"^ *([+-]?\d+) +(?:[-+>\d.]+%|-) +([+-]?\d+) +(?:[-+>\d.]+%|-) +([+-]?\d+) +([+-]?\d+)"
                 r"(?: +\d+/\d+)?  (.*)$", re.M)


def table(*arguments):
    """{name: (flat bytes, cumulative bytes, flat objects, cumulative objects)}"""
    text = report("--exact", "--top", 0, *arguments).stdout
    return {match[5]: tuple(int(match[i]) for i in (1, 2, 3, 4)) for match in ROW.finditer(text)}


def folded(*arguments):
    rows = [line.rpartition(" ") for line in report("--folded", "-", *arguments).stdout.splitlines()]
    return {stack: int(value) for stack, _, value in rows}
