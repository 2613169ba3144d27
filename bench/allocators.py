# SPDX-License-Identifier: MIT
"""The allocators that are compared: what is installed, and what the user names."""
import dataclasses
import difflib
import os
import pathlib
import platform
import re
import shutil
import subprocess

import versions

SYSTEM = pathlib.Path("/usr/lib") / f"{platform.machine()}-linux-gnu"
PEERS = {
    "jemalloc": ("libjemalloc.so.2", "libjemalloc2"),
    "mimalloc": ("libmimalloc.so.2.0", "libmimalloc2.0"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    "tbbmalloc": ("libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
}
BINDING = re.compile(r"binding file .* to (.*) \[\d+\]: normal symbol `malloc'")
LIBC = "libc.so.6"
PROBE = "/bin/true"  # any program that is linked with libc
COPY = "copy"  # an equal of one of the others: what differs between the two is noise
NEAR = 0.75  # of difflib's ratio: one mistake in a name of six letters
FLOOR = "empty"  # a library with nothing in it, preloaded: what no allocator can do better on short processes


@dataclasses.dataclass
class Allocator:
    name: str
    library: str | None  # None: the system's own
    version: str = ""


class Wrong(ValueError):
    """What is wrong with a list of allocators, in one line."""


def package_version(package):
    if not shutil.which("dpkg-query"):
        return ""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def own_library(build):
    """What `myalloc compare` found, else the one built here."""
    return pathlib.Path(os.environ.get("MYALLOC_LIBRARY") or build / "libmyalloc.so")


def installed(build, version):
    """Name -> Allocator, of all that are there."""
    found = {"glibc": Allocator("glibc", None, platform.libc_ver()[1])}
    if own_library(build).exists():
        found["myalloc"] = Allocator("myalloc", str(own_library(build)), version)
    for name, (file, package) in PEERS.items():
        if (SYSTEM / file).exists():
            found[name] = Allocator(name, str(SYSTEM / file), package_version(package))
    return found


def floor(work):
    """The system's malloc under a preloaded library that is empty."""
    library = work / "libempty.so"
    command = ["gcc", "-shared", "-fPIC", "-x", "c", os.devnull, "-o", library]
    if not shutil.which("gcc") or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        raise Wrong(f"--alloc {FLOOR}: gcc, which makes that library, cannot")
    return Allocator(FLOOR, str(library), "glibc's malloc, and an empty library preloaded")


def named(item, found, work):
    """The allocator that one item of --alloc stands for."""
    name, is_path, path = item.partition("=")
    if is_path:
        name, _, version = name.partition(":")
        if not name or name in ("best", COPY, FLOOR) or not name.replace("-", "_").isidentifier():
            raise Wrong(f"--alloc {item}: '{name}' cannot be its name; letters, digits, - and _, not best, {COPY} or {FLOOR}")
        if name == "glibc":
            raise Wrong(f"--alloc {item}: glibc is the system's own, which all are compared with; choose another name")
        if not pathlib.Path(path).is_file():
            raise Wrong(f"--alloc {item}: there is no file {path}")
        return Allocator(name, str(pathlib.Path(path).resolve()), versions.of_library(path, version))
    if name == FLOOR:
        return floor(work)
    if name in found:
        return found[name]
    if name in PEERS:
        raise Wrong(f"--alloc {item}: {name} is not installed; `make bench-deps`, or: apt-get install {PEERS[name][1]}")
    if name == "myalloc":
        raise Wrong("--alloc myalloc: libmyalloc.so is not built; `make`, or name it in MYALLOC_LIBRARY")
    names = ["glibc", "myalloc", *PEERS]
    near = "".join(f"; did you mean '{other}'?" for other in difflib.get_close_matches(name, [*names, FLOOR], 1, NEAR))
    raise Wrong(f"--alloc {item}: not one of {', '.join(names)}, {FLOOR}, nor NAME=/path/to/library.so or "
                f"NAME:VERSION=/path/to/library.so{near}")


def serves_malloc(library):
    """Whether malloc is the library's where it is preloaded, by what the loader says without running anything. One that
    the loader refuses counts as such: the runs will say why."""
    env = {"LD_PRELOAD": library, "LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "1", "LD_BIND_NOW": "1", "LD_DEBUG": "bindings"}
    done = subprocess.run([PROBE], env=env, capture_output=True, text=True, errors="replace", check=False)
    sources = BINDING.findall(done.stderr)
    return not sources or library in sources or "cannot be preloaded" in done.stderr


def give_libc(chosen, program):
    """Some programs are linked with an allocator of their own (Debian's redis-server with jemalloc's library): under the
    name glibc, that would be measured. A preload of libc puts its malloc first."""
    env = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "1", "LD_BIND_NOW": "1", "LD_DEBUG": "bindings"}
    env.pop("LD_PRELOAD", None)
    done = subprocess.run([program], env=env, capture_output=True, text=True, errors="replace", check=False,
                          stdin=subprocess.DEVNULL)
    sources = set(BINDING.findall(done.stderr)) - {program}
    if not sources or any(pathlib.Path(source).name == LIBC for source in sources):
        return
    for allocator in chosen.values():
        if not allocator.library:
            allocator.library = LIBC
            allocator.version += f" (preloaded: the program is linked with {pathlib.Path(sorted(sources)[0]).name})"


def with_copy(chosen, work):
    """A copy of myalloc if that takes part, of the system's malloc otherwise, second in the list."""
    if "myalloc" in chosen:
        copy = work / "libmyalloc-copy.so"
        shutil.copyfile(chosen["myalloc"].library, copy)
        pair = {COPY: Allocator(COPY, str(copy), "of myalloc")}
    elif "glibc" in chosen:
        pair = {COPY: Allocator(COPY, None, "of glibc")}
    else:
        return chosen
    after = "myalloc" if "myalloc" in chosen else "glibc"
    found = {}
    for name, allocator in chosen.items():
        found[name] = allocator
        if name == after:
            found.update(pair)
    return found


def choose(wanted, build, work, version=""):
    """The allocators of a list like `glibc,myalloc,other=/path/lib.so`; all that are installed if it is empty. glibc and
    the copy always take part: all else is measured by them."""
    found = installed(build, version)
    items = [item for item in wanted if item not in (COPY, "")]
    chosen = {} if items else found
    for item in items:
        allocator = named(item, found, work)
        if chosen.setdefault(allocator.name, allocator) != allocator:
            raise Wrong(f"--alloc {item}: '{allocator.name}' is already {chosen[allocator.name].library}")
    chosen = with_copy({"glibc": found["glibc"], **chosen}, work)
    for allocator in chosen.values():
        if allocator.library and set(allocator.library) & set(" :"):
            raise Wrong(f"'{allocator.library}': LD_PRELOAD cannot hold a path with a space or a colon; use a link to it")
        if allocator.library and allocator.name != FLOOR and not serves_malloc(allocator.library):
            raise Wrong(f"--alloc {allocator.name}: {allocator.library} has no malloc, so the system's would be measured")
    return chosen


def missing():
    """Names and packages of the known ones that are not installed."""
    return {name: package for name, (file, package) in PEERS.items() if not (SYSTEM / file).exists()}
