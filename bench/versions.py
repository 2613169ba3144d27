# SPDX-License-Identifier: MIT
"""Which version an allocator is: what its library says when it is asked, and its digest, which tells equal ones from others."""
import ctypes
import hashlib
import pathlib
import subprocess
import sys

ASK = ("mallctl", "mi_version", "tc_version")  # of jemalloc, mimalloc, gperftools
PATIENCE = 10  # seconds


def of_number(number):
    """mimalloc's 209 is 2.0.9, its 30403 is 3.4.3."""
    parts = str(number) if number < 10000 else (number // 10000, number // 100 % 100, number % 100)
    return ".".join(map(str, parts))


def say(library):
    """What the library, which this process runs on, says; ""."""
    if hasattr(library, "mi_version"):
        return of_number(library.mi_version())
    if hasattr(library, "tc_version"):
        library.tc_version.restype = ctypes.c_char_p
        return library.tc_version(None, None, None).decode().removeprefix("gperftools ")
    if hasattr(library, "mallctl"):
        text, room = ctypes.c_char_p(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_char_p))
        wrong = library.mallctl(b"version", ctypes.byref(text), ctypes.byref(room), None, ctypes.c_size_t(0))
        return "" if wrong else text.value.decode().split("-")[0]
    return ""


def asked(path):
    """The same of any library, in a process of its own: it may fail, or hang."""
    try:
        done = subprocess.run([sys.executable, __file__], env={"LD_PRELOAD": str(path)}, capture_output=True, text=True,
                              timeout=PATIENCE, errors="replace", check=False)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def of_library(path, given=""):
    """`3.4.3, sha256 0123456789ab`: as given, or as the library says; the digest alone if it does not."""
    content = pathlib.Path(path).read_bytes()
    said = given or (asked(path) if any(f"\0{name}\0".encode() in content for name in ASK) else "")
    return ", ".join(filter(None, (said, f"sha256 {digest(content)}")))


def digest(content):
    return hashlib.sha256(content).hexdigest()[:12]


if __name__ == "__main__":
    print(say(ctypes.CDLL(None)))
