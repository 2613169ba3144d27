# SPDX-License-Identifier: MIT
"""What the library tells of faults, line by line: the form that finding.h and fault.h promise. `facts` is what most tests ask for:
the first line without process and program, and what is said of calls and blocks without threads, changed bytes and frames. A
line that has no place in a finding is an error, so whoever asks has tested the form of the whole."""
import re

HEAD = re.compile(r"==(\d+)== ([^:]*(?:: [^:]*)?): myalloc: (.*)")
FRAME = re.compile(r"    #(\d+) (?:(\S.*)\+(0x[0-9a-f]+) )?(?:\((.*)\+(0x[0-9a-f]+)\)(?: \(BuildId: ([0-9a-f]+)\))?|0x[0-9a-f]+)")
SECTION = re.compile(r"(  (?:called from|at|allocated by .*?|freed by .*?))(?:, (thread \d+(?: \(.*\))?))?")
CALLED = re.compile(r"  called by thread \d+ \(.*\)")
BLOCK = re.compile(r"  block of \d+ bytes at 0x[0-9a-f]+(?:, (?:changed|pointer) at offset -?\d+)?")
BYTES = re.compile(r"    0x[0-9a-f]+: (?:[ \[][0-9a-f]{2}[ \]]){1,16} \|.{1,16}\|")
EVENTS = "  last events of guarded pages, newest first:"
EVENT = re.compile(r"  (.*): block of \d+ bytes at 0x[0-9a-f]+, thread \d+(?: \(.*\))?")
NOTE = re.compile(r"  (?:on its stack: the stack pointer is 0x[0-9a-f]+|in the middle of another report, which is lost|"
                  r"a freed block of up to 32 KiB reads as zeros under protect:paranoid|"
                  r"\.\.\. cut: the report has faulted itself: .*)")
SUMMARY = re.compile(r"SUMMARY: myalloc: .*")
MORE = re.compile(r"  for more: .*")


class Finding:
    """One report: process, program, first line, what follows it."""

    def __init__(self, head):
        self.process, self.program, self.head = int(head[1]), head[2], head[3]
        self.sections = []  # [line without its thread, thread or None, frames]
        self.bytes, self.events, self.notes, self.summary, self.more = [], [], [], None, None

    def add(self, line):
        """Takes the next line."""
        if self.more or (self.summary and not MORE.fullmatch(line)):
            raise ValueError(f"behind the end of a report: {line!r}")
        frame, section = FRAME.fullmatch(line), SECTION.fullmatch(line)
        if frame and self.sections:
            self.sections[-1][2].append(frame)
        elif SUMMARY.fullmatch(line):
            self.summary = line
        elif MORE.fullmatch(line):
            self.more = line
        elif NOTE.fullmatch(line):
            self.notes.append(line.strip())
        elif BYTES.fullmatch(line):
            self.bytes.append(line)
        elif section:
            self.sections.append([section[1], section[2], []])
        elif BLOCK.fullmatch(line) or CALLED.fullmatch(line) or line == EVENTS or (EVENT.fullmatch(line) and EVENTS in self.lines()):
            self.sections.append([line, None, []])
        else:
            raise ValueError(f"no line of a report: {line!r}")

    def lines(self):
        """The lines that name calls and blocks, without their threads."""
        return [section[0] for section in self.sections]

    def frames(self, line):
        """The frames below a line, as matches of FRAME."""
        return next((frames for name, _, frames in self.sections if name == line), [])


def findings(text):
    """All reports of a text that holds nothing else."""
    found = []
    for line in text.splitlines():
        head = HEAD.fullmatch(line)
        if head:
            found.append(Finding(head))
        elif found:
            found[-1].add(line)
        else:
            raise ValueError(f"before any report: {line!r}")
    return found


def facts(text):
    """The lines of all reports that name calls and blocks; the events of guarded pages among them."""
    lines = []
    for finding in findings(text):
        if not finding.summary and len(finding.sections) > 0:
            raise ValueError(f"no summary: {finding.head!r}")
        lines += [finding.head] + [line for line in finding.lines() if not CALLED.fullmatch(line)]
    return lines
