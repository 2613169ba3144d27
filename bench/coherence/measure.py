# SPDX-License-Identifier: MIT
"""Runs a program under qemu with the plugin, always in the same surroundings, and reads what the plugin has told."""
import ctypes
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys

from coherence.result import Sample, figures

ADDR_NO_RANDOMIZE = 0x0040000
FIRST_LINES = 300  # characters of what a failed run has said


def fixed_addresses():
    """In the child: the same addresses in each run, and one processor, between whose threads turns change fastest."""
    ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0), key=lambda cpu: (cpu + os.getppid()) % 61)})


def without_comma(path, folder):
    """qemu takes commas apart: another name of the file."""
    if "," not in str(path):
        return str(path)
    link = folder / f"library{abs(hash(str(path)))}.so"
    if not link.exists():
        link.symlink_to(path)
    return str(link)


def qemu_command(program, library, settings, cores, folder, out):
    preload = [str(cores / "announce.so"), *([without_comma(library, folder)] if library else [])]
    given = {**settings, "out": out, **({"allocator": str(pathlib.Path(library).resolve())} if library else {})}
    words = [str(cores / "plugin.so"), *(f"{name}={value}" for name, value in given.items())]
    return [f"qemu-{platform.machine()}", "-seed", str(settings["seed"] % 2**31), "-E", "LD_PRELOAD=" + ":".join(preload),
            "-plugin", ",".join(word.replace(",", ",,") for word in words), *program]


def what_went_wrong(status, said, limit):
    text = " ".join(said.split())[:FIRST_LINES]
    if status is None:
        return f"hung: not done after {limit:g} s"
    if status < 0:
        return f"killed by {signal.Signals(-status).name}" + (f": {text}" if text else "")
    return f"exit status {status}" + (f": {text}" if text else "")


def run(program, library, settings, cores, folder, limit, threads):
    """One run, as a Sample."""
    out = folder / "told.json"
    out.unlink(missing_ok=True)
    command = qemu_command(program, library, settings, cores, folder, out)
    environment = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "OLDPWD", "_")}
    with open(folder / "said", "w+", encoding="utf8", errors="replace") as said:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                                   preexec_fn=fixed_addresses)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        text = said.read()
    if status != 0:
        return Sample(what_went_wrong(status, text, limit))
    counts = json.loads(out.read_text())
    if not counts["started"]:
        return Sample("preloading has no effect on it (it is static or set-user-ID), so nothing was counted")
    if counts["time"] == 0:
        return Sample("it never had a second thread, so nothing was counted")
    return Sample("", counts, figures(counts, threads or counts["threads"]))


def run_all(made, options, chosen, cores, folder):
    """Fills the document, so that what is done is there if it is interrupted."""
    jobs = [(load.name, threads, load.command(threads, options.work)) for load in options.loads for threads in options.threads]
    if options.program:
        path = shutil.which(options.program[0])
        jobs = [(pathlib.Path(path).name, 0, [os.path.abspath(path), *options.program[1:]])]
    for at, (load, threads, command) in enumerate(jobs):
        for name, allocator in chosen.items():
            if sys.stderr.isatty():
                print(f"\r\x1b[K{at + 1} of {len(jobs)}: {load} {threads or ''} {name}", end="", file=sys.stderr, flush=True)
            sample = run(command, allocator.library, made.settings, cores, folder, options.limit, threads)
            made.loads.setdefault(load, {}).setdefault(str(threads), {})[name] = sample
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
