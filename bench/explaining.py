# SPDX-License-Identifier: MIT
"""What allocators say of themselves when the program ends: one more run of each, which is not measured, with its statistics on.

Each has a switch in the environment and a text of its own, on standard error, which tells whose text it is: so a library that
was named by its path is asked as well as one that is known. A text that is there but cannot be read gives no figures, only the
word that it could not be. Figures are KiB, as all memory in the samples; None is what it does not tell."""
import json
import os
import re

import measuring
from document import Account

ASKED = {"MYALLOC_OPTIONS": "stats:1",                                          # the switches of myalloc,
         "MALLOC_CONF": "stats_print:true,stats_print_opts:Jgdablxeh",          # of jemalloc: JSON, the sums alone,
         "MIMALLOC_SHOW_STATS": "1", "MALLOCSTATS": "1"}                        # of mimalloc and of gperftools' tcmalloc
JOINED = ("MYALLOC_OPTIONS", "MALLOC_CONF")                                     # lists, to which what the user set belongs
SILENT = "says nothing when the program ends"
UNREADABLE = "its statistics could not be read"
OURS = re.compile(r"^myalloc: where the resident memory of process \d+ is\n(?P<rows>.*?)^(?=\{\"taken\")", re.M | re.S)
JEMALLOC = re.compile(r"^(?=\{\"jemalloc\":)", re.M)
TCMALLOC = re.compile(r"^MALLOC: +(?=\d+ \( *[\d.]+ MiB\) Bytes in use by application$)", re.M)
TCMALLOC_ROW = re.compile(r"^(?:MALLOC: [ +=] +)?(\d+) \( *[\d.]+ MiB\) (.+)$", re.M)
MIMALLOC = re.compile(r"^heap stats: +(?P<head>[a-z#\- ]+)\n(?P<rows>.*?)(?=^heap stats:|\Z)", re.M | re.S)
MIMALLOC_AMOUNT = re.compile(r"(?:\b0|(-?\d+(?:\.\d+)?) ([KMGT]?)i?B)(?=\s|$)")
OUR_ROW = re.compile(r"^ +([\d.]+) +[\d.]+  (\S.*?)(?:  +(\S.*))?$", re.M)
NOT_OURS = ("not the allocator's", "resident in all")


class Unreadable(ValueError):
    """It is this allocator's text, but not as it is known."""


def kib(value):
    return None if value is None or value < 0 else value / 1024


def share(part, whole):
    return f"{part / 1024 ** 2:.1f} MiB of {whole / 1024 ** 2:.1f} MiB held"


def largest(parts, whole):
    """`free pages: 2.2 MiB of 2.7 MiB held`, of bytes by name."""
    name = max(parts, key=parts.get)
    return f"{name}: {share(parts[name], whole)}" if whole > 0 else ""


def decoded(text, at):
    try:
        return json.JSONDecoder().raw_decode(text, at)[0]
    except ValueError as error:
        raise Unreadable from error


def our_reason(rows, whole):
    """The largest row of the table of `myalloc why`, which names what brings it down, of those that are the allocator's."""
    found = [(float(mib), name, remedy) for mib, name, remedy in OUR_ROW.findall(rows) if not name.startswith(NOT_OURS)]
    if not found:
        raise Unreadable
    mib, name, remedy = max(found)
    return f"{name}: {share(mib * 1024 ** 2, whole)}" + (f" (less by: {remedy})" if remedy else "")


def of_myalloc(text, found):
    told = decoded(text, found.end())
    parts = told["resident"]
    whole, own, live = parts["total"], parts["metadata"], parts["live"] + (parts["rounding"] or 0)
    return Account("", kib(whole), kib(live), kib(whole - live - own), kib(own), kib(parts["returned"]), kib(told["peak"]),
                   reason=our_reason(found["rows"], whole))


def of_jemalloc(text, found):
    told = decoded(text, found.end())["jemalloc"]
    sums, merged = told["stats"], told.get("stats.arenas", {}).get("merged")
    live, active, own, held = (sums[name] for name in ("allocated", "active", "metadata", "resident"))
    parts = {"blocks in use": live, "free on pages with blocks in use, and in caches of threads": active - live,
             "free pages that wait to be given back (dirty and muzzy)": held - active - own, "its own data": own}
    blocks = merged and merged["small"]["nrequests"] + merged["large"]["nrequests"]
    return Account("", kib(held), kib(live), kib(held - live - own), kib(own), kib(sums["retained"]), blocks=blocks,
                   reason=largest(parts, held))


def of_tcmalloc(text, found):
    """What it adds up must be what it says."""
    rows = {name: int(value) for value, name in TCMALLOC_ROW.findall(text[found.end():].split("\n------", 1)[0])}
    parts = {name: value for name, value in rows.items() if name.startswith("Bytes in ")}
    held, own = rows["Actual memory used (physical + swap)"], parts["Bytes in malloc metadata"]
    live = parts["Bytes in use by application"]
    if sum(parts.values()) != held:
        raise Unreadable
    return Account("", kib(held), kib(live), kib(held - live - own), kib(own), kib(rows["Bytes released to OS (aka unmapped)"]),
                   reason=largest({name[0].lower() + name[1:]: value for name, value in parts.items()}, held))


def of_mimalloc(text, found):
    """Its release build counts no blocks, but what it committed."""
    head = found["head"].split()
    row = re.search(r"^ *committed: *(.*)\n", found["rows"], re.M)
    amounts = MIMALLOC_AMOUNT.findall(row[1]) if row else []
    by = {name: float(amount or 0) * 1024 ** " KMGT".index(unit or " ") for name, (amount, unit) in zip(head, amounts)}
    return Account("", kib(by["current"]), peak=kib(by["peak"]))


READERS = ((OURS, of_myalloc), (JEMALLOC, of_jemalloc), (TCMALLOC, of_tcmalloc), (MIMALLOC, of_mimalloc))


def read(text):
    """The Account of one run by all that was written to standard error: of several processes that of the one that held the
    most, however they were told apart."""
    accounts = []
    for pattern, reader in READERS:
        try:
            accounts += [reader(text, found) for found in pattern.finditer(text)]
        except (Unreadable, KeyError, TypeError, ValueError):
            return Account(UNREADABLE)
    if not accounts:
        begun = re.search(r"^(myalloc: where the resident|\{\"taken\":|\{\"jemalloc\":|MALLOC: |heap stats:)", text, re.M)
        return Account(UNREADABLE if begun else SILENT)
    most = max(accounts, key=lambda one: (one.held or 0, one.peak or 0))
    most.processes = len(accounts)
    return most


def asking(environment):
    """The variables that ask, with what is set already."""
    return {name: f"{environment[name]},{value}" if name in JOINED and environment.get(name) else value
            for name, value in ASKED.items()}


def of_run(benchmark, library, place):
    if not library:
        return Account(SILENT)
    extra = asking({**os.environ, **benchmark.environment})
    sample = measuring.run_once(benchmark, library, place, extra=extra)
    if sample.status:
        return Account(f"this run failed: {sample.status}")
    return read((place.work / "stderr").read_text(errors="replace"))


def ask_all(benchmark, libraries, place, said, left_out):
    """Name -> Account, but of those that are no allocators of their own (`left_out`); of what there was time for if
    interrupted."""
    found = {}
    said.note("asking", always=True)
    try:
        for name, allocator in libraries.items():
            if name not in left_out:
                said.show(f"{name} what it says of itself", None)
                found[name] = of_run(benchmark, allocator.library, place)
    except KeyboardInterrupt:
        said.say("interrupted: not all were asked")
    finally:
        said.end()
    return found
