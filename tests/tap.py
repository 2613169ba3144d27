# SPDX-License-Identifier: MIT
"""For test scripts: TAP, and where things are. To import it brings the script, also when it is started alone, into the
surroundings that tests count on (start.py, whose `run` is subprocess.run with a limit that stretches under load)."""
import os
import pathlib
import sys

sys.dont_write_bytecode = True
import start

start.settle()
ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.setdefault("MYALLOC_BUILD", str(ROOT / "build")))
LONG = "--long" in sys.argv  # whether the run in whole is asked for, instead of the short version
results = []


def settings():
    """The compilers and flags of the build, as arguments for `make`, lest it is built anew with others."""
    return [line.lstrip() for line in (BUILD / "flags").read_text().splitlines() if not line.startswith("#")]


def ok(passed, name, more=""):
    """One test; `more` says why it failed."""
    results.append(bool(passed))
    print(f"{'ok' if passed else 'not ok'} {len(results)} - {name}", flush=True)
    if not passed and more:
        print("\n".join(f"# {line}" for line in str(more).splitlines()[-40:]), flush=True)
    return bool(passed)


def check(wrong, name):
    """One test; `wrong` says what is wrong, and is empty if nothing is."""
    return ok(not wrong, name, wrong)


def skip(name, reason):
    results.append(True)
    print(f"ok {len(results)} - {name} # SKIP {reason}", flush=True)


def finish():
    print(f"1..{len(results)}")
    sys.exit(not (results and all(results)))
