# SPDX-License-Identifier: MIT
"""The facts without which figures cannot be compared: machine, kernel, versions, the library's state, the date."""
import datetime
import os
import pathlib
import platform
import shutil
import subprocess

import versions

HUGE = pathlib.Path("/sys/kernel/mm/transparent_hugepage")


def said(*command):
    """The first line that a command prints; "" if it fails."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else ""


def setting(path):
    return path.read_text().strip() if path.exists() else "unknown"


def processor():
    names = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} CPUs"


def memory():
    kib = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    return f"{kib / 1024 / 1024:.1f} GiB"


def commit(folder):
    """Of the source tree around the library, if it is one; `-dirty` if it has changes."""
    return said("git", "-C", str(folder), "describe", "--always", "--dirty") if (folder / ".git").exists() else ""


def own_version(library, source):
    """Commit and digest of the library measured: the digest tells whether two files are of the same one."""
    if not library or not pathlib.Path(library).exists():
        return ""
    state = commit(source)
    return (f"commit {state}, " if state else "") + f"sha256 {versions.digest(pathlib.Path(library).read_bytes())}"


def busy():
    """What to say if other programs take the processors; ""."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load < processors / 2:
        return ""
    return f"the machine is busy (load {load:.1f} on {processors} CPUs): times will be noisy; memory and counts will not"


def facts(libraries, missing, seed):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "memory": memory(),
        "huge pages": f"{setting(HUGE / 'enabled')}, defrag {setting(HUGE / 'defrag')}",
        "load before": "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg()),
        "compiler of the loads": said("gcc", "--version"),
        "library": libraries["myalloc"].version if "myalloc" in libraries else "",
        "allocators": "; ".join(f"{a.name} {a.version}".strip() for a in libraries.values() if a.name != "myalloc"),
        "allocators not installed": ", ".join(missing) or "none",
        "seed": seed,
    }
