# SPDX-License-Identifier: MIT
"""The file of --json: every sample of a run. README.md describes it; `problem` checks it."""
import json

FORMAT, VERSION = "myalloc-bench", 1
NUMBERS = ("elapsed", "user", "system", "peak", "tree", "average", "minor", "major", "voluntary", "involuntary")


class Wrong(ValueError):
    """What is wrong with a file, in one line."""


def make(machine, libraries, results, left_out, instructions):
    return {"format": FORMAT, "version": VERSION, "machine": machine,
            "allocators": [{"name": a.name, "library": a.library, "version": a.version} for a in libraries.values()],
            "benchmarks": results, "left out": left_out, "instructions": instructions}


def sample_problem(sample):
    if not isinstance(sample, dict) or not isinstance(sample.get("status"), str):
        return "a sample without a status"
    if not sample["status"]:
        missing = [name for name in NUMBERS if not isinstance(sample.get(name), (int, float))]
        if missing:
            return f"a sample without {missing[0]}"
        if not isinstance(sample.get("figures"), dict):
            return "a sample without figures"
    return ""


def benchmark_problem(result):
    if not isinstance(result, dict) or not isinstance(result.get("rounds"), list) or not result["rounds"]:
        return "no rounds"
    names = None
    for found in result["rounds"] + result.get("dropped", []):
        samples = found.get("samples") if isinstance(found, dict) else None
        if not isinstance(samples, dict) or not samples:
            return "a round without samples"
        names = names or set(samples)
        if set(samples) != names:
            return "rounds of different allocators"
        wrong = next((text for sample in samples.values() if (text := sample_problem(sample))), "")
        if wrong:
            return wrong
    return ""


def problem(document):
    """What is wrong with it, in a few words; "" if nothing is."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return f"not a file of bench/run --json (no \"format\": \"{FORMAT}\")"
    if document.get("version") != VERSION:
        return f"version {document.get('version')}, this program reads version {VERSION}"
    if not isinstance(document.get("benchmarks"), dict) or not isinstance(document.get("machine"), dict):
        return "no benchmarks or no machine"
    return next((f"benchmark {key}: {text}" for key, result in document["benchmarks"].items()
                 if (text := benchmark_problem(result))), "")


def load(path):
    """The document; Wrong if it cannot be used."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Wrong(f"{path}: {error}") from None
    if text := problem(document):
        raise Wrong(f"{path}: {text}")
    return document


def save(document, path):
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
