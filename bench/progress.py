# SPDX-License-Identifier: MIT
"""What is going on and how long it will take: rich's bar on a terminal, now and then a plain line elsewhere."""
import sys
import time

import voice
from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, TextColumn

EVERY = 30        # seconds between plain lines
REDRAWN = 1.0     # seconds after which a bar is drawn anew while a run goes on
WIDE, NARROW = 24, 8  # columns of the bar
ROOMY = 80        # columns of a terminal that has them


def span(seconds):
    if seconds is None:
        return ""
    return f"about {seconds / 60:.1f} min left" if seconds >= 90 else f"about {max(seconds, 0):.0f} s left"


class Progress:
    def __init__(self, stream=sys.stderr):
        self.stream = stream
        self.console = Console(file=stream, highlight=False, markup=False, soft_wrap=True, force_terminal=stream.isatty(),
                               color_system="auto" if voice.coloured(stream) else None, no_color=not voice.coloured(stream))
        self.bar = None  # elsewhere than on a terminal
        self.wide = WIDE if self.console.width >= ROOMY else NARROW
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            # Drawn between runs and, in long ones, once a second: a thread that draws all the time would take time from what
            # is measured.
            self.bar = Bar(TextColumn("{task.description}", markup=False),
                           BarColumn(self.wide), TextColumn("{task.fields[left]}"), console=self.console,
                           auto_refresh=False, transient=True)
            self.task = self.bar.add_task("", total=None, left="")
        self.step, self.begun = "", time.monotonic()
        self.printed = self.begun
        self.what, self.left, self.shown, self.drawn = "", None, self.begun, self.begun

    def note(self, step, always=False):
        """A new step begins."""
        self.step = step
        if not self.bar and always:
            self.say(step)

    def show(self, what, left):
        """What is run now, with the seconds left, None if nobody knows."""
        self.what, self.left, self.shown = what, left, time.monotonic()
        if self.bar:
            self.draw()
        elif time.monotonic() - self.printed > EVERY:
            self.say("; ".join(filter(None, (f"{self.step}: {what}", span(left)))))

    def tick(self):
        """A run goes on; called now and then meanwhile."""
        if self.bar and time.monotonic() - self.drawn >= REDRAWN:
            self.draw()

    def draw(self):
        self.drawn = time.monotonic()
        passed, gone = self.drawn - self.begun, self.drawn - self.shown
        left = None if self.left is None else max(self.left - gone, 0)
        told, total = (f"{gone:.0f} s so far", None) if left is None else (span(left), passed + left)
        room = self.console.width - self.wide - len(told) - 2  # a column between two parts
        self.bar.update(self.task, description=voice.cut(f"{self.step}: {self.what}", room), completed=passed, left=told,
                        total=total)
        self.bar.start()
        self.bar.refresh()

    def say(self, text):
        """A line that stays."""
        for line in voice.folded(f"{voice.NAME}: {text}", voice.columns(self.stream)):
            self.console.print(line)
        self.printed = time.monotonic()

    def end(self):
        if self.bar:
            self.bar.stop()
