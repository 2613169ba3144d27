# SPDX-License-Identifier: MIT
"""For tests of packages: the sources packed as `make dist` does it, and what any installation must do, here in a folder that
the packages were unpacked to."""
import os
import pathlib
import re
import shutil

import start
from tap import ROOT, check, ok

LIMIT = 900  # seconds for a build
VERSION = re.search(r"^VERSION = (\S+)$", (ROOT / "Makefile").read_text(), re.M).group(1)
REAL, SONAME = f"libmyalloc.so.{VERSION}", f"libmyalloc.so.{VERSION.split('.')[0]}"
PRIVATE = ("libmyalloc-record.so", "measure", "myalloc-replay")
HARNESS = [f"usr/share/myalloc/bench/{path.name}" for path in sorted((ROOT / "bench").iterdir())
           if path.suffix in (".py", ".j2") or path.name in ("advise", "replay", "run")] + ["usr/share/myalloc/bench/measure"]
PROGRAM = """#include <myalloc.h>
#include <stdlib.h>
int main(void) { char text[200]; free(malloc(9)); return !(myalloc_stats_json(text, sizeof text) > 100 && text[0] == '{'); }
"""


def run(*command, timeout=100, **options):
    return start.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, **options)


def failure(done):
    return None if done.returncode == 0 else f"{done.returncode}: {done.stdout}{done.stderr}"


def packed(work):
    """The tree of this checkout, also what is not committed yet, by its own `make dist`."""
    tree = work / "checkout"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=lambda folder, names: {
        name for name in names if name in (".git", "__pycache__") or name == "build" and pathlib.Path(folder) == ROOT})
    git = ("git", "-C", tree, "-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
        run(*git, *words, check=True)
    return tree / run("make", "-s", "-C", tree, "dist", check=True).stdout.strip()


def built(kind, sources, to, **environment):
    """Whether tools/packaging/build made packages of that kind."""
    done = run(ROOT / "tools/packaging/build", kind, sources, to, timeout=LIMIT, env=dict(os.environ, **environment))
    made = [line for line in done.stdout.splitlines() if line.endswith(f".{kind}")]
    return ok(done.returncode == 0 and made, f"tools/packaging/build {kind}", done.stdout + done.stderr)


def pages(section):
    return sorted(page.name for page in (ROOT / "tools/man").glob(f"*.{section}*") if page.suffix != ".awk")


def lists(name, found, wanted):
    check(sorted(set(found) ^ set(wanted)), f"{name}: has these {len(wanted)} files")


def works(root, libraries, work):
    """Packages unpacked to `root`, whose folder of libraries is `libraries`, are used as they would be when installed."""
    folder = root / libraries
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    links = {name: os.readlink(folder / name) for name in (SONAME, "libmyalloc.so")}
    check(set(links.values()) != {REAL} and str(links), f"both links lead to {REAL}")
    maps = run("cat", "/proc/self/maps", env={**env, "LD_PRELOAD": str(folder / SONAME)}).stdout
    check(str(folder / REAL) not in maps and maps, "a program runs on the library, preloaded")
    for line in ("Environment=LD_PRELOAD=", "ENV LD_PRELOAD="):
        named = re.search(rf"^    {line}(\S+)$", (ROOT / "tools/packaging/README.md").read_text(), re.M).group(1)
        maps = run("cat", "/proc/self/maps", env={**env, "LD_PRELOAD": named, "LD_LIBRARY_PATH": str(folder)}).stdout
        check(str(folder / REAL) not in maps and maps, f"... and by the name alone: {line}{named}")
    command = {**env, "MYALLOC_LIBRARY": str(folder / SONAME)}
    maps = run(root / "usr/bin/myalloc", "run", "cat", "/proc/self/maps", env=command).stdout
    check(str(folder / REAL) not in maps and maps, "... and by myalloc run")
    told = run(root / "usr/bin/myalloc", "version", env=env).stdout
    check(not re.match(rf"myalloc {re.escape(VERSION)}$", told.strip()) and told, "the command tells the version")
    compared = run(root / "usr/bin/myalloc", "compare", "--help", env=command)
    check(failure(compared), "it finds the harness of its package")
    measured = run(root / "usr/share/myalloc/bench/measure", work / "measured", "/bin/true", env=env)
    check(failure(measured) or "{" not in (work / "measured").read_text(), "which finds what starts programs")
    linked(root, folder, work, env)


def linked(root, folder, work, env):
    source = work / "program.c"
    source.write_text(PROGRAM)
    flags = run("pkg-config", "--cflags", "--libs", "myalloc", env={
        **env, "PKG_CONFIG_PATH": str(folder / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(root),
        "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1", "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}).stdout.split()
    shared, static = work / "shared", work / "static"
    built_by_flags = run("gcc", "-o", shared, source, *flags)
    check(failure(built_by_flags) or failure(run(shared, env={**env, "LD_LIBRARY_PATH": str(folder)})),
          "a program linked by pkg-config's flags runs")
    needed = run("readelf", "-d", shared).stdout
    check(f"[{SONAME}]" not in needed and needed, f"... and needs {SONAME}")
    cpp = ROOT / "tests/tools/cpp_header.cc"
    check(failure(run("g++", "-std=c++17", "-pthread", "-o", shared, cpp, *flags)) or
          failure(run(shared, "here", env={**env, "LD_LIBRARY_PATH": str(folder)})), "one with the header for C++ runs, too")
    check(failure(run("gcc", "-static", "-o", static, f"-I{root}/usr/include", source, folder / "libmyalloc.a")) or
          failure(run(static, env=env)), "a static program runs")
