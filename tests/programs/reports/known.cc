// SPDX-License-Identifier: MIT
/* run: helper */
// Blocks that are lost, each of a size of its own, in functions of every kind that a suppression may name.
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "below.h"

__attribute__((noinline)) static void lose(std::size_t bytes) {
    void *volatile lost = std::malloc(bytes);
    lost = nullptr;
    (void)lost;
}

namespace shop {
template <typename T> struct cache {
    __attribute__((noinline)) void load(const T &) {
        lose(1001);
        count++;
    }
    __attribute__((noinline)) bool operator<(const cache &other) const {
        lose(1002);
        return count < other.count;
    }
    int count = 0;
};
} // namespace shop

namespace {
__attribute__((noinline)) void keep() {
    lose(1004);
    std::puts("kept");
}
} // namespace

inline __attribute__((always_inline)) static void take() { lose(1008); }

// Out of another file.
#line 100 "elsewhere/goods.cc"
__attribute__((noinline)) static void fetch() {
    lose(1016);
    std::puts("fetched");
}
#line 50 "known.cc"

static void work() {
    shop::cache<int> ints;
    shop::cache<shop::cache<int>> nested;
    ints.load(1);
    if (nested < nested)
        std::puts("less");
    keep();
    take();
    fetch();
    std::function<void()> later = [] {
        lose(1032);
        std::puts("later");
    };
    later();
}

int main() {
    far_below(work);
    far_below(scrub);
}
