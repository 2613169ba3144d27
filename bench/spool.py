# SPDX-License-Identifier: MIT
"""Standard input that was redirected, kept in a file, as each run of the program needs it anew."""
import os
import select
import shutil
import stat

import voice

WAIT = 20.0      # seconds without a byte, after which nobody is thought to write
AT_ONCE = 1 << 20
ROOM_SHARE = 0.5 # of what is free where the file lies
INSTEAD = "give --stdin FILE, or < /dev/null if the program needs none"


class Wrong(ValueError):
    """Why the input cannot be used, in one line."""


def kind():
    """"none" if nothing was redirected: a terminal, /dev/null, or closed; "file", "stream"; else "device"."""
    try:
        found = os.fstat(0)
    except OSError:
        return "none"
    if stat.S_ISREG(found.st_mode):
        return "file"
    if stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        return "stream"
    if os.isatty(0) or stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev:
        return "none"
    return "device"


def chunks(wait):
    while True:
        if not select.select([0], [], [], wait)[0]:
            raise Wrong(f"standard input is open, but nothing came for {wait:g} s; {INSTEAD}")
        chunk = os.read(0, AT_ONCE)
        if not chunk:
            return
        yield chunk


def spool(path, wait=WAIT):
    """The file with all of standard input, from where it stands; None if nothing was redirected."""
    found = kind()
    if found == "none":
        return None
    if found == "device":
        raise Wrong(f"standard input is neither a file nor a pipe; {INSTEAD}")
    room, size = shutil.disk_usage(path.parent).free * ROOM_SHARE, 0
    try:
        with open(path, "wb") as file:
            for chunk in chunks(wait):
                size += len(chunk)
                if size > room:
                    raise Wrong(f"standard input has more than {size >> 20} MiB, half of what is free in {path.parent}; put it "
                                "in a file and give --stdin FILE")
                file.write(chunk)
    except OSError as error:
        raise Wrong(f"standard input cannot be kept: {error.strerror}; {INSTEAD}") from None
    voice.complain(f"standard input: {size} bytes, given to each run")
    return path
