/* SPDX-License-Identifier: MIT */
/* Large buffers, 5 to 25 MiB, some at a time, from malloc or zeroed from calloc; a part of each is written. After
 * malloc-large of mimalloc-bench, which its authors describe as large allocations of several MiB. */
#include "load.h"

enum { MIB = 1 << 20, PAGE = 4096 };

static long zeroed = 0, buffers = 300, live = 8, least = 5, most = 25, written = 50;

static const struct parameter parameters[] = {{"zeroed", &zeroed, 0, 1}, {"buffers", &buffers, 1, 10000000},
                                              {"live", &live, 1, 10000}, {"least", &least, 1, 1024},
                                              {"most", &most, 1, 1024},  {"written", &written, 0, 100}};

static void use(struct block *block, size_t size, uint32_t tag) {
    unsigned char *p = checked(zeroed ? calloc(1, size) : malloc(size), size);
    size_t end = size / 100 * (size_t)written;
    for (size_t at = PAGE; at < end; at += PAGE) {
        if (zeroed && (p[at] != 0 || p[at + PAGE / 2] != 0))
            load_fail("byte %zu of %zu from calloc is not zero", at, size);
        p[at] = 1;
    }
    block_adopt(block, p, size, tag);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    load_range(least, most);
    struct block *blocks = table_new((size_t)live, sizeof *blocks);
    uint64_t random = random_stream(0);
    for (long i = 0; i < buffers; i++) {
        struct block *block = &blocks[random_below(&random, (size_t)live)];
        if (block->at != NULL)
            block_drop(block);
        use(block, random_between(&random, (size_t)least * MIB, (size_t)most * MIB), (uint32_t)i);
    }
    for (long i = 0; i < live; i++)
        if (blocks[i].at != NULL)
            block_drop(&blocks[i]);
    return 0;
}
