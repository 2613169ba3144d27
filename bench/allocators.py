# SPDX-License-Identifier: MIT
"""The allocators that are compared: what is installed, and what the user names."""
import dataclasses
import pathlib
import platform
import shutil
import subprocess
import sys

SYSTEM = pathlib.Path("/usr/lib") / f"{platform.machine()}-linux-gnu"
PEERS = {
    "jemalloc": ("libjemalloc.so.2", "libjemalloc2"),
    "mimalloc": ("libmimalloc.so.2.0", "libmimalloc2.0"),
    "tcmalloc": ("libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
    "tbbmalloc": ("libtbbmalloc_proxy.so.2", "libtbbmalloc2"),
}
OURS = ("myalloc", "copy")  # the second is a copy of the first: what differs between them is noise


@dataclasses.dataclass
class Allocator:
    name: str
    library: str | None  # None: the system's own
    version: str = ""


def package_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def installed(build):
    """Name -> Allocator, of all that are there."""
    found = {"glibc": Allocator("glibc", None, platform.libc_ver()[1])}
    ours = build / "libmyalloc.so"
    if ours.exists():
        copy = build / "libmyalloc-copy.so"
        shutil.copyfile(ours, copy)
        found["myalloc"] = Allocator("myalloc", str(ours))
        found["copy"] = Allocator("copy", str(copy), "a copy of myalloc")
    for name, (file, package) in PEERS.items():
        if (SYSTEM / file).exists():
            found[name] = Allocator(name, str(SYSTEM / file), package_version(package))
    return found


def choose(wanted, build):
    """The allocators of a list like `glibc,myalloc,other=/path/lib.so`; all that are installed if it is empty. What is
    missing ends the program with the command that brings it."""
    found = installed(build)
    names = []
    for item in wanted:
        name, _, path = item.partition("=")
        if path:
            if not pathlib.Path(path).is_file():
                sys.exit(f"bench: --alloc {item}: there is no file {path}")
            found[name] = Allocator(name, str(pathlib.Path(path).resolve()))
        elif name not in found:
            if name in PEERS:
                sys.exit(f"bench: allocator '{name}' is not installed; `make bench-deps`, or: apt-get install {PEERS[name][1]}")
            sys.exit(f"bench: --alloc {item}: not one of {', '.join(['glibc', *OURS, *PEERS])}, nor NAME=/path/to/library.so")
        names.append(name)
    names = names or list(found)
    return {name: found[name] for name in names}


def missing():
    """Names and packages of the known ones that are not installed."""
    return {name: package for name, (file, package) in PEERS.items() if not (SYSTEM / file).exists()}
