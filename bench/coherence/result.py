# SPDX-License-Identifier: MIT
"""What runs have found, as dataclasses, which are the format of the JSON."""
import dataclasses
import json

FORMAT, VERSION = "myalloc-cores", 1


@dataclasses.dataclass
class Sample:
    """One run. `counts` is what the plugin has told; the figures follow from it."""
    status: str  # "" or what went wrong; then there are no figures
    counts: dict | None = None
    figures: dict | None = None


@dataclasses.dataclass
class Document:
    machine: dict
    settings: dict
    loads: dict  # name -> number of threads, as text -> allocator -> Sample

    def failed(self):
        return any(sample.status for runs in self.loads.values() for found in runs.values() for sample in found.values())


def figures(counts, threads):
    """Per 1000 operations; without operations, of the whole run. `operation` is how long one takes a thread, in ns."""
    operations = counts["operations"]
    scale = 1000 / operations if operations else 1
    transfers = {kind: (counts["fetches"][kind] + counts["upgrades"][kind]) * scale for kind in counts["fetches"]}
    locks = [lock for lock in counts["locks"] if lock["of"] == "allocator"]
    time = counts["time"] or 1
    return {
        "time": counts["time"] / 1000,
        "operation": counts["time"] * threads / operations / 1000 if operations else 0,
        "data": transfers["data"],
        "contents": transfers["links"] + transfers["contents"],
        "links": transfers["links"],
        "program": transfers["program"],
        "atomics": counts["atomics"]["allocator"] * scale,
        "atomics_elsewhere": counts["atomics_elsewhere"]["allocator"] * scale,
        "futex_waits": counts["futex_waits"]["allocator"] * scale,
        "system_calls": counts["system_calls"]["allocator"] * scale,
        "call_share": counts["call_time"] / time / threads,
        "lock_share": locks[0]["held"] / time if locks else 0,
    }


def save(made, path):
    path.write_text(json.dumps({"format": FORMAT, "version": VERSION, **dataclasses.asdict(made)}, indent=1) + "\n")
