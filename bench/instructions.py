# SPDX-License-Identifier: MIT
"""Exact instruction counts of a malloc and its free, by callgrind.

The counts are of two functions of pairs.c, less what their loops take with calls that only return. There is no figure,
rather than a wrong one, where valgrind put its own malloc in place of the allocator's or the calls went elsewhere."""
import pathlib
import re
import shutil
import subprocess
import tempfile

from document import Instructions

SIZES = (16, 64, 256, 1024, 8192, 65536)  # those of pairs.c
TIMES = 10000
LIBC = "libc.so.6"
RETURNS = 2  # instructions of the two empty calls, which stand for those of malloc and free
LIMIT = 60   # seconds
# Callgrind mixes up the options of functions whose names begin alike.
FUNCTIONS = ("one_at_a_time", "hundred_live")
TRIGGER = re.compile(r"^desc: Trigger: --dump-after=(\w+)", re.M)
TOTALS = re.compile(r"^totals: (\d+)", re.M)
OBJECT = re.compile(r"^c?ob=\(\d+\) (.+)", re.M)


class NoFigure(Exception):
    """Why there is none."""


def build(source, program):
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-fno-builtin", "-o", program, source, "-ldl"], check=True)


def callgrind(program, arguments, library, folder):
    options = [f"--dump-{when}={function}" for when in ("before", "after") for function in FUNCTIONS]
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", *options, program, *arguments]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", **({"LD_PRELOAD": library} if library else {})}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        raise NoFigure(f"not ended after {LIMIT} s under valgrind") from None
    if done.returncode != 0:
        raise NoFigure(f"status {done.returncode} under valgrind")
    return done.stdout.strip()


def parts(folder):
    """What callgrind wrote, in order."""
    return [path.read_text() for path in sorted(pathlib.Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))]


def totals(texts):
    """Function -> its counts, one a size."""
    found = {function: [] for function in FUNCTIONS}
    for text in texts:
        trigger = TRIGGER.search(text)
        if trigger:
            found[trigger.group(1)].append(int(TOTALS.search(text).group(1)))
    if any(len(counts) != len(SIZES) for counts in found.values()):
        raise NoFigure("callgrind did not tell the functions apart")
    return found


def check_origin(texts, source, library):
    """NoFigure unless the calls went to the library that was meant."""
    objects = {pathlib.Path(path).name for text in texts for path in OBJECT.findall(text)}
    if any(name.startswith("vgpreload_") and "core" not in name for name in objects):
        raise NoFigure("valgrind put its own malloc in place")
    wanted = pathlib.Path(library).resolve() if library else pathlib.Path(LIBC)
    if pathlib.Path(source).resolve().name != wanted.name or not objects & {wanted.name, pathlib.Path(source).name}:
        raise NoFigure(f"malloc came from {source}")


def count(program, library, arguments=()):
    with tempfile.TemporaryDirectory() as folder:
        source = callgrind(program, arguments, library, folder)
        texts = parts(folder)
    found = totals(texts)
    if not arguments:
        check_origin(texts, source, library)
    return found


def pairs(found, empty):
    """For each size, (one at a time, a hundred live)."""
    return [tuple((total - base) / TIMES + RETURNS for total, base in zip(row, rest))
            for row, rest in zip(zip(*found.values()), zip(*empty.values()))]


def count_all(libraries, source, program):
    """The Instructions; None without valgrind."""
    if not shutil.which("valgrind"):
        return None
    build(source, program)
    counts, empty = {}, None
    for name, allocator in libraries.items():
        if name == "copy":
            continue
        try:
            empty = empty or count(program, None, ["empty"])
            counts[name] = pairs(count(program, allocator.library), empty)
        except NoFigure as reason:
            counts[name] = str(reason)
    return Instructions(list(SIZES), counts)
