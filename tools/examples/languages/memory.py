# SPDX-License-Identifier: MIT
"""memory.py [small|large]: keeps many small objects, or 64 MiB in large blocks."""
import sys

kept = []
if "small" in sys.argv:
    kept = [(i, str(i)) for i in range(400000)]
elif "large" in sys.argv:
    kept = [bytearray(1 << 20) for _ in range(64)]
