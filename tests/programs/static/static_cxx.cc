// SPDX-License-Identifier: MIT
// A fully static C++ program on libmyalloc.a: operators new and delete are ours, exceptions work.
#include <cstdint>
#include <cstdio>
#include <new>
#include <string>
#include <unordered_map>

extern "C" size_t malloc_usable_size(void *);

int main() {
    void *p = ::operator new(100);
    std::printf("%s 1 - operator new is ours\n", malloc_usable_size(p) == 112 ? "ok" : "not ok");
    ::operator delete(p);
    std::unordered_map<int, std::string> map;
    for (int i = 0; i < 100000; i++)
        map[i % 1000] += std::to_string(i);
    std::printf("%s 2 - containers\n", map.size() == 1000 ? "ok" : "not ok");
    bool thrown = false;
    volatile size_t absurd = PTRDIFF_MAX;
    try {
        p = ::operator new(absurd);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    std::printf("%s 3 - std::bad_alloc is thrown\n", thrown ? "ok" : "not ok");
    std::printf("%s 4 - nothrow gives null\n", ::operator new(absurd, std::nothrow) == nullptr ? "ok" : "not ok");
    std::puts("1..4");
}
