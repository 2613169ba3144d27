# SPDX-License-Identifier: MIT
"""Running the two libFuzzer targets, and showing what they find."""
import base64
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, __file__.rsplit("/", 3)[0])
import start
from tap import BUILD, LONG, ROOT, finish, ok, settings  # for the tests, too

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
SHOW = {"calls": BUILD / "tests/proofs/fuzz/replay", "options": BUILD / "tests/proofs/fuzz/options"}
MOST = {"calls": 1024, "options": 700}  # bytes of an input


class Run:
    """One run of a target, of so many seconds or, whatever the load, of so many executions. `folder` gets new inputs and
    those that fail; the kept corpus is only read."""

    def __init__(self, target, folder, seconds, seed, corpus=True, program=None, executions=None):
        self.target, self.folder = target, pathlib.Path(folder)
        new = self.folder / "new"
        new.mkdir(parents=True, exist_ok=True)
        before = set(self.folder.glob("fail-*"))
        dictionary = [f"-dict={HERE / 'options.dict'}"] if target == "options" else []
        # Directories below are read, the first is written to. Of the time: never less than one pass over the corpus.
        bound = f"-runs={executions}" if executions else f"-max_total_time={seconds}"
        command = [program or BUILD / "fuzz" / target, *dictionary, f"-max_len={MOST[target]}", bound,
                   f"-seed={seed}", "-timeout=60", "-reload=0", "-print_final_stats=1", "-verbosity=1",
                   f"-artifact_prefix={self.folder}/fail-", new, *([CORPUS / target] if corpus else [])]
        done = start.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=seconds * 4 + 300, check=False)
        self.text = done.stdout.decode(errors="replace")
        self.status = done.returncode
        self.failures = sorted(set(self.folder.glob("fail-*")) - before)
        self.executions = self.last(r"number_of_executed_units: (\d+)")
        self.coverage, self.features = self.last(r"\bcov: (\d+)"), self.last(r"\bft: (\d+)")

    def last(self, pattern):
        found = re.findall(pattern, self.text)
        return int(found[-1]) if found else 0

    def summary(self):
        return f"{self.executions} executions, {self.coverage} edges, {self.features} features"

    def why(self):
        """What is said of a failure, and its input: to be pasted, and as the calls or variables that it stands for."""
        said = re.compile(r"(calls|options|myalloc|==\d+==|SUMMARY|.*sandbox)")
        lines = [line for line in self.text.splitlines() if said.match(line)]
        for path in self.failures:
            lines += [f"kept as {path}", "the input in base64: " + base64.b64encode(path.read_bytes()).decode(),
                      *shown(self.target, path)]
        return lines or self.text.splitlines()[-20:]


def shown(target, path):
    done = start.run([SHOW[target], "--show", path], capture_output=True, text=True, errors="replace", timeout=120,
                     check=False)
    return (done.stdout + done.stderr).splitlines()[-200:]


def fresh(name):
    folder = BUILD / "fuzz" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
