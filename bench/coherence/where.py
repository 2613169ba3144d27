# SPDX-License-Identifier: MIT
"""Names of addresses: of instructions the function and its line, with those it is inlined into; of data the symbol."""
import bisect
import functools
import re
import subprocess

SEGMENT = re.compile(r"^  LOAD +0x\w+ 0x(\w+) 0x\w+ 0x\w+ 0x(\w+)", re.M)
INNER_MOST = 3  # of inlined functions as many are named


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout if done.returncode == 0 else ""


@functools.cache
def segments(path):
    """(first, last) address that the file asks for."""
    found = [(int(start, 16), int(size, 16)) for start, size in SEGMENT.findall(output("readelf", "-lW", path))]
    return (found[0][0], max(start + size for start, size in found)) if found else (0, 0)


@functools.cache
def symbols(path):
    """Sorted (address, size, name)."""
    found = []
    for table in ((), ("-D",)):
        for line in output("nm", "-CS", "--defined-only", *table, path).splitlines():
            words = line.split(maxsplit=3)
            if len(words) == 4 and len(words[2]) == 1:
                found.append((int(words[0], 16), int(words[1], 16), words[3]))
    return sorted(set(found))


@functools.cache
def code_name(path, address):
    """`free_slow (cache.c:12) < free`, the innermost first."""
    lines = output("addr2line", "-fiC", "-e", path, hex(address)).splitlines()
    names = []
    for function, place in zip(lines[::2], lines[1::2]):
        if function != "??":
            line = place.split(" (")[0].rsplit("/", 1)[-1]
            names.append(function.split("(")[0] + ("" if line.startswith("?") else f" ({line})"))
    return " < ".join(names[:INNER_MOST])


class Names:
    """Of the addresses of one run."""

    def __init__(self, modules):
        first = {}
        for module in modules:
            first.setdefault(module["path"], module["start"])
        self.modules = [(start - segments(path)[0] // 4096 * 4096, path) for path, start in first.items() if segments(path)[1]]

    def module(self, address):
        for bias, path in self.modules:
            first, last = segments(path)
            if first <= address - bias < last:
                return bias, path
        return 0, None

    def symbol(self, path, address):
        found = symbols(path)
        at = bisect.bisect(found, (address, 1 << 64, "")) - 1
        while at >= 0 and address - found[at][0] < 1 << 20:
            start, size, name = found[at]
            if address < start + size:
                return f"{name}+{address - start}"
            at -= 1
        return ""

    def code(self, address):
        bias, path = self.module(address)
        if not path:
            return f"{address:#x}"
        return code_name(path, address - bias) or self.symbol(path, address - bias) or \
            f"{path.rsplit('/', 1)[-1]}+{address - bias:#x}"

    def data(self, address, block=False):
        bias, path = self.module(address)
        if not path:
            return "a block" if block else f"mapped {address:#x}"
        return self.symbol(path, address - bias) or f"{path.rsplit('/', 1)[-1]}+{address - bias:#x}"

    def line(self, address, block):
        """Of a cache line: the first symbol that lies in it."""
        bias, path = self.module(address)
        if path and not self.symbol(path, address - bias):
            found = symbols(path)
            at = bisect.bisect(found, (address - bias, 0, ""))
            if at < len(found) and found[at][0] < address - bias + 64:
                return found[at][2]
        return self.data(address, block)
