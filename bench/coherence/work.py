# SPDX-License-Identifier: MIT
"""What is run: loads of a fixed number of operations for each thread; and what must be built for that."""
import dataclasses
import fnmatch
import os
import pathlib
import subprocess

import benchmarks

PLUGIN = ("plugin", "turns", "system", "memory", "code", "mappings", "locks", "directory", "told")
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
         "-pthread")


@dataclasses.dataclass
class Load:
    name: str
    about: str
    command: object  # threads, share of the work -> words


def loads(folder):
    """All; their programs are in `folder`. Figures are for each thread."""
    def load(name, about, program, arguments):
        def command(threads, share):
            given = arguments(threads, lambda number: max(1, round(number * share)))
            return [str(folder / program), *(str(word) for word in given)]
        return Load(name, about, command)

    return [
        load("larson", "the server load: threads end and leave their blocks to others", "larson", lambda threads, part:
             ("--threads", threads, "--blocks", part(1000), "--replacements", part(1000), "--generations", 3)),
        load("pipeline", "half of the threads allocate, the others free", "pipeline", lambda threads, part:
             ("--pairs", threads // 2, "--batches", part(24))),
        load("ring", "each thread frees what the one before allocated", "ring", lambda threads, part:
             ("--threads", threads, "--steps", part(32))),
        load("mixed", "mixed sizes; now and then blocks for the next thread", "mixed", lambda threads, part:
             ("--threads", threads, "--operations", threads * part(2500), "--live", threads * part(500))),
        load("survivors", "threads of unequal work that end; some of their blocks survive", "survivors",
             lambda threads, part: ("--threads", threads, "--phases", 3, "--work", part(300))),
        load("store", "strings in a table that threads share, as redis keeps them", "store", lambda threads, part:
             ("--threads", threads, "--requests", threads * part(1000), "--keys", threads * part(300))),
        load("spans", "blocks of 33 to 256 KiB, some for the next thread", "spans", lambda threads, part:
             ("--threads", threads, "--replacements", threads * part(500))),
    ]


def matching(folder, pattern):
    return [load for load in loads(folder) if fnmatch.fnmatch(load.name, pattern)]


def compile_object(sources, target, *more):
    """Only if a source is newer; under another name first, so that a run that goes on keeps what it has."""
    newest = max(source.stat().st_mtime for source in sources[0].parent.glob("*.[ch]"))
    if target.exists() and target.stat().st_mtime >= newest:
        return
    made = target.with_suffix(f".{os.getpid()}")
    subprocess.run(["gcc", *FLAGS, *more, "-o", made, *sources], check=True)
    made.replace(target)


def build(bench, build_folder, own):
    """The plugin, the preload, and the loads unless it is for one's own program."""
    source, target = pathlib.Path(bench) / "coherence", build_folder / "cores"
    target.mkdir(parents=True, exist_ok=True)
    compile_object([source / f"{name}.c" for name in PLUGIN], target / "plugin.so", "-pthread")
    compile_object([source / "announce.c"], target / "announce.so", "-fno-builtin", "-Wl,-z,initfirst")
    if not own:
        benchmarks.build_loads(bench / "loads", build_folder / "bench")
