# SPDX-License-Identifier: MIT
"""What one program's figures say about which allocator to run it on, and how sure that is."""
import figures
from allocators import OURS


def verdict(result, name, metric):
    """Interval against glibc, and -1, 0 or 1: surely less, not told apart, surely more."""
    found = figures.ratio(result, name, "glibc", metric)
    if found is None or not figures.differs(found, figures.noise(result, metric)):
        return found, 0
    return found, -1 if found[0] < 1 else 1


def line(name, metric, found, sign):
    words = {-1: "less", 0: "no difference that can be told from noise", 1: "more"}
    amount = f"{abs(1 - found[0]):.0%} {words[sign]}" if sign else words[0]
    return f"  {name}: {metric} {amount} than glibc ({found[1]:.2f} to {found[2]:.2f})" if sign else f"  {name}: {metric}: {amount}"


def print_advice(result):
    names = [name for name in result["rounds"][0]["samples"] if name not in ("glibc", OURS[1])]
    if figures.values(result, "glibc", "time") is None:
        print("\nNo recommendation: the program fails without any preload, or glibc was not among the allocators.")
        return
    print("\nAgainst the system's malloc:")
    gains = {}
    for name in names:
        if figures.failure(result, name):
            print(f"  {name}: does not work with this program: {figures.failure(result, name)}")
            continue
        (time, faster), (peak, smaller) = (verdict(result, name, metric) for metric in ("time", "peak"))
        print(line(name, "time", time, faster), line(name, "peak memory", peak, smaller), sep="\n")
        if (faster < 0 or smaller < 0) and faster <= 0 and smaller <= 0:
            gains[name] = time[0] * peak[0]
    if not gains:
        print("Recommendation: stay with glibc. None is surely better in one of time and memory without being worse in the other.")
        return
    best = min(gains, key=gains.get)
    rivals = [name for name in gains if name != best and
              not any(figures.differs(figures.ratio(result, best, name, metric), figures.noise(result, metric)) for metric in ("time", "peak"))]
    print(f"Recommendation: {best}. It is surely better than glibc in time or memory, and worse in neither (95 % intervals"
          f" of {len(result['rounds'])} rounds)." + (f" Not told apart from it: {', '.join(rivals)}." if rivals else ""))
