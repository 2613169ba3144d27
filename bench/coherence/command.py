# SPDX-License-Identifier: MIT
"""The command line of bench/cores."""
import argparse
import pathlib
import platform
import shutil
import sys

import options as shared
from coherence import work

DESCRIPTION = """Counts what many cores would wait for under each allocator: cache lines that move from core to core, atomics,
futexes, locks. Each thread is a core of its own; qemu runs them in turns, which a seed decides. One core is enough.

  bench/cores                                        all loads with 2, 8 and 64 threads, all installed allocators
  bench/cores --only larson --threads 64 --alloc myalloc,other=/path/to/lib.so
  bench/cores --only larson --threads 64 --alloc myalloc --where
  bench/cores -- PROGRAM ARGUMENTS                   your own program, which must not fork"""
STATUS = """Exit status: 0; 1 if a run failed; 2 if the command line is wrong."""
COSTS = {  # option, of the plugin, too -> nanoseconds, meaning
    "transfer": (40, "a cache line from one core to another, or the end of others' copies"),
    "instruction": (0.15, "an instruction"),
    "atomic": (5, "more for an atomic instruction"),
    "pause": (10, "more for the instruction of loops that wait"),
    "syscall": (300, "a system call"),
    "clock": (25, "a look at the clock, or at the number of the processor, which enters no kernel"),
    "mapping": (1000, "more for one that changes the address space; these follow one another"),
    "fault": (500, "the first touch of a page"),
    "wake": (3000, "from a futex's wake-up to the return of who slept"),
}
MOST_THREADS = 120  # of 256 that the directory knows: larson's overlap with their successors

latency = shared.within(float, 0, 1e9, "a number of nanoseconds from 0 to 1e9")


def threads(text):
    read = shared.within(int, 2, MOST_THREADS, f"an even number from 2 to {MOST_THREADS}")
    found = [read(word) for word in text.split(",")]
    for number in found:
        if number % 2:
            raise argparse.ArgumentTypeError(f"'{number}' is not an even number from 2 to {MOST_THREADS}")
    return found


def new_parser():
    parser = shared.Parser(prog="bench/cores", description=DESCRIPTION, epilog=STATUS, allow_abbrev=False,
                           formatter_class=argparse.RawDescriptionHelpFormatter,
                           usage="%(prog)s [OPTIONS] [-- PROGRAM ARGUMENTS]")
    add = parser.add_argument
    add("--list", action="store_true", help="name the loads")
    add("--only", type=shared.names, default="*", metavar="PATTERNS", help="patterns of loads, separated by commas")
    add("--threads", type=threads, default=None, metavar="NUMBERS", help="numbers of threads, separated by commas (2,8,64)")
    add("--alloc", type=shared.names, default=None, metavar="NAMES",
        help="allocators, separated by commas; NAME=/path/lib.so adds one, or NAME:VERSION=/path/lib.so")
    add("--work", type=shared.within(float, 0.001, 1000, "a number from 0.001 to 1000"), default=None, metavar="FACTOR",
        help="of the loads' work (1)")
    add("--seed", type=shared.seed, default=1, help="of the order of turns (1)")
    add("--turn", type=shared.within(int, 1, 1000000, "a number from 1 to 1000000"), default=300, metavar="INSTRUCTIONS",
        help="how many instructions a core is ahead of the others at the end of its turn, on average (300)")
    add("--processors", type=shared.within(int, 1, 1024, "a number from 1 to 1024"), default=64,
        help="how many the allocator is told there are (64)")
    for name, (default, meaning) in COSTS.items():
        add(f"--{name}", type=latency, default=default, metavar="NS", help=f"{meaning} ({default:g})")
    add("--limit", type=shared.positive, default=600.0, metavar="SECONDS", help="after which one run counts as hung (600)")
    add("--where", action="store_true", help="name the instructions, lines and locks that cost the most")
    add("--json", type=pathlib.Path, metavar="FILE", help="write every figure to this file")
    return parser


def settings(options):
    """What the figures depend on, as the plugin's options: latencies are in picoseconds there."""
    costs = {name: round(getattr(options, name) * 1000) for name in COSTS}
    return {"seed": options.seed, "turn": options.turn, "processors": options.processors, **costs}


def check(parser, options):
    if options.program:
        for name, value in (("--list", options.list), ("--only", options.only != "*"), ("--threads", options.threads),
                            ("--work", options.work)):
            if value:
                parser.error(f"{name} does not go with -- PROGRAM")
        if not shutil.which(options.program[0]):
            parser.error(f"{options.program[0]}: not found, or may not be executed")
    if options.list and options.json:
        parser.error("--list does not go with --json")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json {options.json}: there is no folder {options.json.parent}")
    if wrong := options.json and shared.unwritable(options.json):
        parser.error(f"--json {options.json}: {wrong}")
    emulator = f"qemu-{platform.machine()}"
    if not options.list and not shutil.which(emulator):
        parser.error(f"{emulator} is not installed; apt-get install qemu-user")


def parse(arguments, folder):
    """(parser, options); options.program is what follows `--`, options.loads what is chosen; their programs are in `folder`."""
    program = []
    parser = new_parser()
    if "--" in arguments:
        at = arguments.index("--")
        arguments, program = arguments[:at], arguments[at + 1:]
        if not program:
            parser.error("a program must follow --")
    options = parser.parse_args(arguments)
    options.program = program
    options.loads = []
    for pattern in options.only.split(","):
        found = work.matching(folder, pattern)
        if not found:
            parser.error(f"--only: there is no load '{pattern}'; --list names them")
        options.loads += [load for load in found if load.name not in {other.name for other in options.loads}]
    check(parser, options)
    options.threads = options.threads or [2, 8, 64]
    options.work = options.work or 1
    return parser, options
