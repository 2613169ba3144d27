# SPDX-License-Identifier: MIT
"""What is going on and how long it will take: one line that changes on a terminal, now and then a plain line elsewhere."""
import sys
import time

EVERY = 30  # seconds between plain lines


def span(seconds):
    if seconds is None:
        return ""
    return f"; about {seconds / 60:.1f} min left" if seconds >= 90 else f"; about {max(seconds, 0):.0f} s left"


class Progress:
    def __init__(self, stream=sys.stderr):
        self.stream, self.live = stream, stream.isatty()
        self.step, self.printed = "", float("-inf")

    def note(self, step, always=False):
        """A new step begins."""
        self.step = step
        if not self.live and always:
            self.say(step)

    def show(self, what, left):
        """What is run now, with the seconds left."""
        text = f"{self.step}: {what}{span(left)}"
        if self.live:
            self.stream.write(f"\r\033[K{text[:110]}")
            self.stream.flush()
        elif time.monotonic() - self.printed > EVERY:
            self.say(text)

    def say(self, text):
        """A line that stays."""
        self.stream.write(("\r\033[K" if self.live else "") + f"bench: {text}\n")
        self.stream.flush()
        self.printed = time.monotonic()

    def end(self):
        if self.live:
            self.stream.write("\r\033[K")
            self.stream.flush()
