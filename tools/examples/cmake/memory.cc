// SPDX-License-Identifier: MIT
// memory [small|large]: keeps many small objects, or 64 MiB in large blocks, in containers that myalloc.hpp has memory for.
#include <myalloc.hpp>

#include <cstdio>
#include <cstring>
#include <list>
#include <vector>

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    static myalloc::memory_resource resource;
    std::pmr::list<int> small(&resource);
    std::vector<std::vector<char, myalloc::allocator<char>>> large;
    myalloc::tag_scope tag(what); // what is allocated from here on has it in the heap profile
    if (std::strcmp(what, "small") == 0)
        small.resize(1000000);
    if (std::strcmp(what, "large") == 0)
        large.resize(64, std::vector<char, myalloc::allocator<char>>(1 << 20));
    std::printf("%zu bytes in use, on myalloc: %s\n", myalloc::statistics().live, myalloc::present() ? "yes" : "no");
}
