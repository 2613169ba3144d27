# SPDX-License-Identifier: MIT
"""How a process ended, in the words of the report."""
import signal


def signal_name(number):
    """Real-time signals have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_line(text):
    """`: ` and the last line of what a program said, as far as it can be printed, the loader's complaints left out; "" if it
    said nothing."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("ERROR: ld.so:")]
    return "".join(c if c.isprintable() else "?" for c in f": {lines[-1][:200]}") if lines else ""


def ending(exit_status, number):
    return signal_name(number) if number else f"exit status {exit_status}"
