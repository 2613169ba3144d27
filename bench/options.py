# SPDX-License-Identifier: MIT
"""The command line of bench/run and of `myalloc compare`."""
import argparse
import importlib.util
import math
import pathlib
import signal
import sys

import conditions
import server
import voice

DESCRIPTION = """Compares preloadable allocators on many programs, or on your own: time, memory, page faults, with intervals.

  bench/run --quick                                  what fits into three minutes
  bench/run --only 'trees,larson-*' --alloc glibc,myalloc,other=/path/to/lib.so
  bench/run --runs 10 -- PROGRAM ARGUMENTS           your own program, with a recommendation; `myalloc compare` is the same
  bench/run --compare before.json after.json"""
STATUS = """Exit status: 0; 1 if a run failed or a --fail-if condition holds; 2 if the command line is wrong."""
MINUTES, MINUTES_QUICK, MINUTES_OWN = 28.0, 2.5, 5.0
LIMIT, LIMIT_QUICK = 120.0, 20.0
ROUNDS, ROUNDS_QUICK = 5, 2
HTML_NEEDS = ("jinja2", "matplotlib")  # told before anything is measured, not at the end


class Parser(argparse.ArgumentParser):
    def error(self, message):
        """One line, in which an option is named as it was given."""
        message = message.removeprefix("argument ").replace("--rounds/--runs: ", "--runs: ")
        print(f"{self.prog}: {message.replace('unrecognized arguments: ', 'unknown option ')}", file=sys.stderr)
        sys.exit(2)


def within(read, least, most, meaning):
    """A reader of numbers in whose messages the option has its own name, which argparse puts before them."""
    def number(text):
        try:
            value = read(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"'{text}' is not {meaning}")
        return value
    return number


positive = within(float, sys.float_info.min, sys.float_info.max, "a number above 0")
rounds = within(int, 2, 1000, "a number from 2 to 1000")
exit_status = within(int, 0, 255, "a number from 0 to 255")
seed = within(int, 0, 2**63, "a number, at least 0")


def stop_signal(text):
    """SIGINT, INT or 2."""
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    found = signal.Signals.__members__.get(name) or (int(text) if text.isdigit() and len(text) < 4 else 0)
    if found not in signal.valid_signals():
        raise argparse.ArgumentTypeError(f"'{text}' is no signal, such as SIGINT or 2")
    return int(found)


def ready(text):
    if text.isdigit() and not 1 <= int(text) <= 65535 or not text.removeprefix(server.TEXT).strip():
        raise argparse.ArgumentTypeError(f"'{text}' is neither a port from 1 to 65535, nor a command, nor {server.TEXT}TEXT")
    return text


def names(text):
    if not all(text.split(",")):
        raise argparse.ArgumentTypeError(f"'{text}' has an empty name")
    return text


def condition(text):
    try:
        return conditions.parse_condition(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_common(parser):
    """What there is for benchmarks and for an own program."""
    add = parser.add_argument
    add("--alloc", type=names, default=None, metavar="NAMES",
        help="allocators, separated by commas; NAME=/path/lib.so adds one, or NAME:VERSION=/path/lib.so; "
        "empty: an empty library preloaded")
    add(*(["--runs"] if voice.OWN else ["--rounds", "--runs"]), dest="rounds", type=rounds,
        help=f"at least so many ({ROUNDS}; --quick {ROUNDS_QUICK}); more until intervals are narrow")
    add("--minutes", type=positive, help=f"what all may take ({MINUTES:g}; --quick {MINUTES_QUICK:g}, own program "
        f"{MINUTES_OWN:g}): more rounds are made only while time is left")
    add("--limit", type=positive, metavar="SECONDS",
        help=f"after which one run counts as hung ({LIMIT:g}; --quick {LIMIT_QUICK:g})")
    add("--seed", type=seed, default=1, help="of the order of runs (1)")
    add("--json", type=pathlib.Path, metavar="FILE", help="write every sample to this file")
    add("--html", type=pathlib.Path, metavar="FILE", help="write the report with plots to this file")
    add("--fail-if", action="append", default=[], type=condition, metavar="CONDITION",
        help="such as 'myalloc.time > 1.05*best' or 'myalloc.peak[trees] > 1.1*glibc'; may come several times")


def add_benchmarks(parser):
    add = parser.add_argument
    add("--list", action="store_true", help="name the benchmarks")
    add("--only", default="*", metavar="PATTERNS", help="patterns of benchmarks, separated by commas")
    add("--quick", action="store_true", help="two rounds without warm-up, of the benchmarks that fit; says which do not")
    add("--compare", nargs=2, type=pathlib.Path, metavar=("BEFORE", "AFTER"),
        help="what changed between two files of --json")
    add("--all", action="store_true", help="with --compare: all allocators in full, not only myalloc")
    add("--render", type=pathlib.Path, metavar="FILE", help="report again from a file of --json (with --html, --fail-if)")


def add_own(parser):
    add = parser.add_argument
    add("--stdin", type=pathlib.Path, metavar="FILE",
        help="own program: its standard input (what is redirected to this one, else /dev/null)")
    add("--allow-exit", action="append", type=exit_status, default=[], metavar="N",
        help="own program: this exit status is no failure; may come several times")
    add("--shell", action="store_true", help="own program: one argument, a line that /bin/sh runs")
    add("--explain", action="store_true", help="own program: one more run of each allocator, and what it says of itself then")
    add("--client", metavar="COMMAND", help="own program, a server: what asks it, and whose time counts; run by /bin/sh")
    add("--ready", type=ready, metavar="READY", help="own program, a server: a port, a command that succeeds, or "
        f"{server.TEXT}TEXT in its output, by which it is known to be ready")
    add("--stop", type=stop_signal, metavar="SIGNAL", help="own program, a server: what stops it (SIGTERM)")


def new_parser():
    """`myalloc compare` knows only what is for an own program."""
    parser = Parser(prog=voice.NAME if voice.OWN else "bench/run", description=DESCRIPTION, epilog=STATUS,
                    formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
                    usage="%(prog)s [OPTIONS] [-- PROGRAM ARGUMENTS]")
    add_common(parser)
    if voice.OWN:
        parser.set_defaults(list=False, only="*", quick=False, compare=None, all=False, render=None)
    else:
        add_benchmarks(parser)
    add_own(parser)
    return parser


def parse(arguments):
    """(parser, options); options.program is what follows `--`."""
    program = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, program = arguments[:at], arguments[at + 1:]
        if not program:
            new_parser().error("a program must follow --")
    parser = new_parser()
    options = parser.parse_args(arguments)
    options.program = program
    check(parser, options)
    return parser, options


def unwritable(path):
    """Why no file can be written there, "" if it can: half an hour of samples must not be lost at its end."""
    new = not path.exists()
    if not new and not path.is_file() and not path.is_dir():  # opening a pipe would wait for its reader
        return ""
    try:
        with open(path, "ab"):
            pass
        if new:
            path.unlink()
        return ""
    except OSError as error:
        return error.strerror


def written(program, path, what, write):
    """Whether the file is written; says so, or why not."""
    try:
        write(path)
        print(f"{what}: {path}")
        return True
    except OSError as error:
        print(f"{program}: {path}: {error.strerror or error}", file=sys.stderr)
        return False


def check_modes(parser, options):
    """No option is given for nothing."""
    modes = {"--list": options.list, "--compare": options.compare, "--render": options.render, "-- PROGRAM": options.program}
    given = [name for name, value in modes.items() if value]
    if len(given) > 1:
        parser.error(f"{given[0]} does not go with {given[1]}")
    files = {"--json": options.json, "--html": options.html, "--fail-if": options.fail_if}
    runs = {"--alloc": options.alloc, "--rounds": options.rounds, "--minutes": options.minutes, "--quick": options.quick}
    refused = {"--list": {**runs, **files}, "--compare": {**runs, **files, "--only": options.only != "*"},
               "--render": {**runs, "--only": options.only != "*"},
               "-- PROGRAM": {"--only": options.only != "*", "--quick": options.quick}}
    for name in given:
        for other, value in refused[name].items():
            if value:
                parser.error(f"{other} does not go with {name}")
    if options.all and not options.compare:
        parser.error("--all is for --compare")


def check_server(parser, options):
    """All of it or nothing; gives `service`."""
    given = {"--client": options.client, "--ready": options.ready, "--stop": options.stop}
    for name, value in given.items():
        if value and not options.program:
            parser.error(f"{name} is for your own program, after --")
        for needed in ("--client", "--ready"):
            if value and not given[needed]:
                parser.error(f"{name} needs {needed}; a server needs both")
    options.service = None
    if options.client:
        options.service = server.Service(options.ready, options.client, options.stop or int(signal.SIGTERM))


def check_files(parser, options):
    """What --json and --html need is there."""
    for path in (options.json, options.html):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
        if wrong := path and unwritable(path):
            parser.error(f"{path}: {wrong}")
    for module in HTML_NEEDS:
        if options.html and not importlib.util.find_spec(module):
            parser.error(f"--html: there is no Python module {module}; apt-get install python3-{module}")


def check(parser, options):
    check_modes(parser, options)
    check_server(parser, options)
    if not options.program and (options.stdin or options.allow_exit or options.shell or options.explain):
        parser.error("--stdin, --shell, --explain and --allow-exit are for your own program, after --")
    if options.shell and (len(options.program) != 1 or not options.program[0].strip()):
        parser.error("--shell takes one argument after --, the whole line in quotes")
    if options.stdin and not options.stdin.is_file():
        parser.error(f"--stdin {options.stdin}: no such regular file")
    check_files(parser, options)
    if options.rounds is None:
        options.rounds = ROUNDS_QUICK if options.quick else ROUNDS
    if options.limit is None:
        options.limit = LIMIT_QUICK if options.quick else LIMIT
    if options.minutes is None:
        options.minutes = MINUTES_OWN if options.program else MINUTES_QUICK if options.quick else MINUTES
    options.allowed = tuple(options.allow_exit) or (0,)
