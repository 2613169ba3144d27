# SPDX-License-Identifier: MIT
"""TAP for test scripts: what passed, what is wrong, and the plan at the end."""
import sys

sys.dont_write_bytecode = True
results = []


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
