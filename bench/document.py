# SPDX-License-Identifier: MIT
"""The file of --json: every sample of a run. README.md describes it.

The classes are the format. A field without a default must be in the file; one whose default is None is left out of it while it
is None. `load` and `save` are the only reader and writer: what `load` returns has every field, of its type."""
import dataclasses
import functools
import json
import math
import types
import typing

from allocators import Allocator

FORMAT, VERSION = "myalloc-bench", 1


class Wrong(ValueError):
    """What is wrong with a file, in one line."""


@dataclasses.dataclass
class Sample:
    """One run: times in seconds, memory in KiB."""
    status: str                   # "" or what went wrong: then all that is None here may be missing
    elapsed: float | None = None
    user: float | None = None
    system: float | None = None
    peak: float | None = None
    tree: float | None = None
    average: float | None = None
    minor: int | None = None
    major: int | None = None
    voluntary: int | None = None
    involuntary: int | None = None
    looks: int | None = None      # at memory
    exit: int | None = None
    signal: int | None = None
    hung: bool | None = None
    figures: dict[str, tuple[float, str]] = dataclasses.field(default_factory=dict)  # that the load printed, with units
    series: list[tuple[float, float]] | None = None  # memory over time, of the first round
    halves: tuple[float, float] | None = None        # steady loads: average memory of each half of the run
    processes: int | None = None                     # that were seen at once, at the most

    def problem(self):
        missing = [name for name in MEASURED if getattr(self, name) is None]
        return f"no {missing[0]}" if missing and not self.status else ""


MEASURED = ("elapsed", "user", "system", "peak", "tree", "average", "minor", "major", "voluntary", "involuntary")


@dataclasses.dataclass
class Round:
    order: list[str]            # of the runs
    stolen: int                 # clock ticks that the host took meanwhile
    steal: float                # their share
    samples: dict[str, Sample]  # by allocator

    def problem(self):
        return "" if self.samples else "a round without samples"


@dataclasses.dataclass
class Counts:
    """Of libmyalloc's debug build, per 1000 operations."""
    status: str = ""            # why there are none
    operations: int | None = None
    locks: float | None = None
    waits: float | None = None
    rmws: float | None = None
    oscalls: float | None = None


@dataclasses.dataclass
class Result:
    """One benchmark."""
    about: str
    group: str
    command: list[str]
    environment: dict[str, str]
    tree: bool                  # memory is that of all its processes together
    steady: bool                # one long run, whose memory over time is the question
    rounds: list[Round]
    dropped: list[Round]        # from which the host took time
    noise: dict[str, float] = dataclasses.field(default_factory=dict)  # by metric: no smaller difference is one
    short: bool = False         # runs too short for an average over time: the peak stands for it
    counts: Counts | None = None
    client: str | None = None   # of a server: the command whose time is the time

    def problem(self):
        if not self.rounds:
            return "no rounds"
        names, every = self.rounds[0].samples.keys(), self.rounds + self.dropped
        return "" if all(one.samples.keys() == names for one in every) else "rounds of different allocators"


@dataclasses.dataclass
class Instructions:
    """Of a malloc and its free by size: one block at a time, a hundred live; or why there is no figure."""
    sizes: list[int]
    counts: dict[str, list[tuple[float, float]] | str]


@dataclasses.dataclass
class Account:
    """What an allocator says of itself at the end of a run, in KiB; None is what it does not tell."""
    status: str                     # "" or why there is nothing
    held: float | None = None       # memory that it has of the OS
    live: float | None = None       # in blocks in use
    free: float | None = None       # held, but neither live nor its own data
    own: float | None = None        # metadata
    returned: float | None = None   # addresses that it keeps without memory
    peak: float | None = None       # the most that it took at once
    blocks: int | None = None       # that the program got, in all
    reason: str = ""                # what most of it is, in its words
    processes: int = 1              # that said something; these are the figures of the one that held the most


@dataclasses.dataclass
class Document:
    machine: dict[str, str | int]
    allocators: list[Allocator]
    benchmarks: dict[str, Result]
    left_out: dict[str, str] = dataclasses.field(metadata={"name": "left out"})  # what was not measured, and why
    instructions: Instructions | None
    advice: list[str] | None = None  # on one's own program
    explained: dict[str, Account] | None = None  # by allocator, if it was asked
    front: list[str] | None = None   # sets of options of which none is both faster and smaller than another, the fastest first


# ---- reading --------------------------------------------------------------------------------------------------------
NUMBERS = {float: (int, float), int: (int,)}
WORDS = {float: "number", int: "whole number", str: "text", bool: "true or false", list: "list", dict: "object"}


def named(field):
    """A field's name in the file."""
    return field.metadata.get("name", field.name)


@functools.lru_cache(maxsize=None)
def hints(kind):
    return typing.get_type_hints(kind)


def refuse(where, what):
    raise Wrong(f"{'.'.join(where)}: {what}" if where else what)


def read_object(kind, value, where):
    if not isinstance(value, dict):
        refuse(where, f"not an object with {', '.join(named(field) for field in dataclasses.fields(kind))}")
    known = {named(field): field for field in dataclasses.fields(kind)}
    for name, field in known.items():
        if name not in value and field.default is field.default_factory is dataclasses.MISSING:
            refuse(where, f"no {name}")
    for name in value:
        if name not in known:
            refuse(where, f"'{name}' is no part of version {VERSION}")
    made = kind(**{known[name].name: read(hints(kind)[known[name].name], part, (*where, name)) for name, part in value.items()})
    if text := getattr(made, "problem", str)():
        refuse(where, text)
    return made


def read_one_of(kinds, value, where):
    """The first of these types that the value is of."""
    if value is None and types.NoneType in kinds:
        return None
    kinds = [kind for kind in kinds if kind is not types.NoneType]
    for kind in kinds[:-1]:
        try:
            return read(kind, value, where)
        except Wrong:
            continue
    return read(kinds[-1], value, where)


def read_many(kind, value, where):
    """A list, a tuple or a dictionary."""
    container, parts = typing.get_origin(kind), typing.get_args(kind)
    wanted = dict if container is dict else list
    if not isinstance(value, wanted):
        refuse(where, f"not a {WORDS[wanted]}")
    if container is dict:
        return {name: read(parts[1], part, (*where, name)) for name, part in value.items()}
    if container is list:
        return [read(parts[0], part, (*where, str(at))) for at, part in enumerate(value)]
    if len(value) != len(parts):
        refuse(where, f"not a list of {len(parts)}")
    return tuple(read(part, one, where) for part, one in zip(parts, value))


def read(kind, value, where=()):
    """A value of JSON as `kind`: a dataclass, a type, or a container of such; Wrong says where it is not."""
    if dataclasses.is_dataclass(kind):
        return read_object(kind, value, where)
    if isinstance(kind, types.UnionType):
        return read_one_of(typing.get_args(kind), value, where)
    if typing.get_origin(kind):
        return read_many(kind, value, where)
    if kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, NUMBERS[kind]) or not math.isfinite(value):
            refuse(where, f"not a {WORDS[kind]}")
    elif not isinstance(value, kind):
        refuse(where, f"not a {WORDS[kind]}")
    return value


def from_json(value):
    """The document that this is in JSON; Wrong if it is none."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise Wrong(f"not a file of bench/run --json (no \"format\": \"{FORMAT}\")")
    version = value.get("version")
    if version != VERSION:
        age = f"{'older' if version < VERSION else 'newer'}: " if isinstance(version, int) else ""
        raise Wrong(f"version {version}, {age}this program reads version {VERSION}; measure again, or take the one that wrote "
                    "it")
    return read(Document, {name: part for name, part in value.items() if name not in ("format", "version")})


def load(path):
    """The document; Wrong if it cannot be used."""
    try:
        return from_json(json.loads(path.read_text()))
    except (OSError, ValueError) as error:  # Wrong is one
        raise Wrong(f"{path}: {error}") from None


# ---- writing --------------------------------------------------------------------------------------------------------
def plain(value):
    """Of what JSON can hold."""
    if dataclasses.is_dataclass(value):
        found = {named(field): (field, getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {name: plain(part) for name, (field, part) in found.items() if part is not None or field.default is not None}
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def to_json(document):
    return {"format": FORMAT, "version": VERSION, **plain(document)}


def save(document, path):
    path.write_text(json.dumps(to_json(document), separators=(",", ":")) + "\n")
