# SPDX-License-Identifier: MIT
"""The mailbox of a process that runs on the library, for tests: letters and anything else are written into it, and answers
read."""
import ctypes
import pathlib
import random
import re
import struct

import start
from tap import BUILD

WORDS = struct.Struct("<5Q")
libc = ctypes.CDLL(None, use_errno=True)


def sum_of(words):
    """mailbox_sum, of alloc/observe/mailbox.h."""
    total = 0x6d61696c626f7801
    for word in words:
        total = ((total ^ word) * 0x9e3779b97f4a7c15) & (1 << 64) - 1
        total ^= total >> 29
    return total


class Range(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class Library:
    """The mailbox of a process that has the library preloaded, to be written to."""

    def __init__(self, pid, library=BUILD / "libmyalloc.so"):
        self.pid = pid
        maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
        base = int(re.search(rf"^(\w+)-\w+ \S+ 00000000 .*{re.escape(library.name)}$", maps, re.M)[1], 16)
        symbols = start.run(["nm", "-S", str(library)], capture_output=True, text=True, check=True, timeout=30).stdout
        self.symbols = {name: (base + int(at, 16), int(length, 16))
                        for at, length, name in re.findall(r"^(\w+) (\w+) . (\w+)$", symbols, re.M)}
        self.mailbox, self.bytes = self.symbols["letters_mailbox"]
        self.bell = self.symbols["modes_knock"][0]

    def copy(self, call, at, buffer):
        here, there = Range(ctypes.addressof(buffer), len(buffer)), Range(at, len(buffer))
        return call(self.pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)

    def read(self, at, length):
        """None if that memory is not there."""
        buffer = ctypes.create_string_buffer(length)
        return buffer.raw if self.copy(libc.process_vm_readv, at, buffer) == length else None

    def write(self, at, data):
        return self.copy(libc.process_vm_writev, at, ctypes.create_string_buffer(data, len(data)))

    def knock(self, value=1):
        return self.write(self.bell, struct.pack("<I", value))

    def write_letter(self, command, argument, process=None, spoil=0):
        words = [random.getrandbits(64) | 1, command, argument, self.pid if process is None else process]
        self.write(self.mailbox, WORDS.pack(*words, sum_of(words) ^ spoil))
        return words[0]

    def letter(self):
        """The ticket of the letter that lies there."""
        buffer = ctypes.create_string_buffer(8)
        self.copy(libc.process_vm_readv, self.mailbox, buffer)
        return struct.unpack("<Q", buffer.raw)[0]

    def answers(self):
        """The ticket of each answer."""
        buffer = ctypes.create_string_buffer(self.bytes)
        self.copy(libc.process_vm_readv, self.mailbox, buffer)
        return [struct.unpack_from("<Q", buffer, 48 + 40 * i)[0] for i in range(8)]

    def result(self, ticket):
        """Status and result of the answer, None if there is none."""
        buffer = ctypes.create_string_buffer(self.bytes)
        self.copy(libc.process_vm_readv, self.mailbox, buffer)
        for i in range(8):
            answer = struct.unpack_from("<4Q", buffer, 48 + 40 * i)
            if answer[0] == ticket:
                return answer[2:]
        return None
