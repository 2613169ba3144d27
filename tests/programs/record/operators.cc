// SPDX-License-Identifier: MIT
/* run: helper */
// Each operator of C++ by itself, and an exception that goes through the recorder; a thread that still runs at the end.
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>

struct alignas(128) Wide {
    char bytes[1280];
};

static void *volatile sink;

template <typename T> static T *kept(T *block) {
    sink = block;
    return block;
}

static bool throws(std::size_t size) {
    try {
        sink = ::operator new(size);
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

int main() {
    auto *one = kept(new int(1));
    auto *many = kept(new int[100]);
    auto *quiet = kept(new (std::nothrow) long[500]);
    auto *wide = kept(new Wide);
    auto *wides = kept(new Wide[3]);
    delete one;
    delete[] many;
    delete[] quiet;
    delete wide;
    delete[] wides;
    if (!throws(static_cast<std::size_t>(-1) / 4) || !throws(static_cast<std::size_t>(-1) / 4))
        return 1;
    sink = ::operator new(4321);
    std::thread([] {
        for (;;)
            std::free(kept(std::malloc(50)));
    }).detach();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::puts("done");
    return 0;
}
