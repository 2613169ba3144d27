# SPDX-License-Identifier: MIT
"""One run of the replayer with the plan of a recording, as `myalloc replay` and `myalloc advise` have made it."""
import json
import os
import subprocess

LIMIT = 600.0  # seconds after which a run counts as hung; with the gaps between calls kept it takes as long as it takes


class Failed(Exception):
    """Why a run has no figures, in one line."""


def environment(library, settings):
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD" and not name.startswith("MYALLOC_")}
    if settings:
        env["MYALLOC_OPTIONS"] = settings
    if library:
        env["LD_PRELOAD"] = library
    return env


def run(library, settings, found):
    """What the replayer says of one run; `settings`: the library's options, `found`: `touch` and `pace` of the command line.
    Complaints are under "said"."""
    plan = os.environ["MYALLOC_PLAN"]
    command = [os.environ["MYALLOC_REPLAYER"], "--touch", found.touch, *(["--pace"] if found.pace else []), plan]
    try:
        done = subprocess.run(command, env=environment(library, settings), pass_fds=[int(plan.rsplit("/", 1)[1])],
                              capture_output=True, text=True, errors="replace", timeout=None if found.pace else LIMIT,
                              check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"hung: ended after {LIMIT:g} s") from error
    if done.returncode or not done.stdout.endswith("]}\n"):
        said = (done.stderr.strip().splitlines() or [""])[-1].removeprefix("myalloc replay: ")
        raise Failed(said or (f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"))
    return {**json.loads(done.stdout), "said": done.stderr.strip()}
