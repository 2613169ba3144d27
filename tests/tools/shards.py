# SPDX-License-Identifier: MIT
"""For tests of tools: a program whose size classes have several shards (tests/programs/control/shards.c), and what lies in its
memory of them."""
import json
import os
import pathlib
import struct
import subprocess

import start
from tap import BUILD

LIBRARY, PROGRAM = BUILD / "libmyalloc.so", BUILD / "tests/programs/control/shards"
SIZES = {48, 112, 240, 640, 1008, 3072}  # of the classes that it splits
CAN_SPLIT = len(os.sched_getaffinity(0)) > 1


class Shards:
    def __init__(self, options=""):
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={
            "PATH": os.environ["PATH"], "LD_PRELOAD": str(LIBRARY), "MYALLOC_OPTIONS": options})
        self.pid = self.process.pid
        self.own = json.loads(self.process.stdout.readline())
        found = start.run(["nm", "-S", LIBRARY], check=True, capture_output=True, text=True, timeout=60).stdout
        maps = pathlib.Path(f"/proc/{self.pid}/maps").read_text().splitlines()
        base = next(int(line.split("-")[0], 16) for line in maps if line.endswith("libmyalloc.so"))
        names = {words[3]: words for words in map(str.split, found.splitlines()) if len(words) == 4}
        self.count_at, self.rows_at = (base + int(names[name][0], 16) for name in ("central_class_count", "central_classes"))
        self.rows_bytes = int(names["central_classes"][1], 16)

    def ask(self):
        """Has it work; returns what the library tells of itself then."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.own = json.loads(self.process.stdout.readline())
        return self.own

    def out(self):
        """{size: blocks that are not at home}, as the library tells."""
        return {row["size"]: row["live"] + row["cached"] for row in self.own["classes"]}

    def read(self, at, length):
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(at)
            return memory.read(length)

    def write(self, at, data):
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(at)
            memory.write(data)

    def rows(self):
        return struct.unpack("<I", self.read(self.count_at, 4))[0]

    def end(self):
        self.process.kill()
        self.process.communicate()
