# SPDX-License-Identifier: MIT
"""What is going on and how long it will take: rich's bar on a terminal, now and then a plain line elsewhere."""
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, TextColumn

EVERY = 30  # seconds between plain lines


def span(seconds):
    if seconds is None:
        return ""
    return f"about {seconds / 60:.1f} min left" if seconds >= 90 else f"about {max(seconds, 0):.0f} s left"


class Progress:
    def __init__(self, stream=sys.stderr):
        self.console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        self.bar = None  # elsewhere than on a terminal
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            # Drawn only between runs: a thread that draws all the time would take time from what is measured.
            self.bar = Bar(TextColumn("{task.description}", markup=False), BarColumn(24), TextColumn("{task.fields[left]}"),
                           console=self.console, auto_refresh=False, transient=True)
            self.task = self.bar.add_task("", total=None, left="")
        self.step, self.printed, self.begun = "", float("-inf"), time.monotonic()

    def note(self, step, always=False):
        """A new step begins."""
        self.step = step
        if not self.bar and always:
            self.say(step)

    def show(self, what, left):
        """What is run now, with the seconds left, None if nobody knows."""
        if self.bar:
            passed = time.monotonic() - self.begun
            self.bar.update(self.task, description=f"{self.step}: {what}", left=span(left), completed=passed,
                            total=None if left is None else passed + max(left, 0))
            self.bar.start()
            self.bar.refresh()
        elif time.monotonic() - self.printed > EVERY:
            self.say("; ".join(filter(None, (f"{self.step}: {what}", span(left)))))

    def say(self, text):
        """A line that stays."""
        self.console.print(f"bench: {text}")
        self.printed = time.monotonic()

    def end(self):
        if self.bar:
            self.bar.stop()
