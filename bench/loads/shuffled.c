/* SPDX-License-Identifier: MIT */
/* Big arrays of small blocks, filled in order and freed in random order. Written for this bench; mimalloc-bench's
 * glibc-simple and alloc-test are relatives. */
#include "load.h"

static long blocks = 400000, rounds = 6, least = 8, most = 128;

static const struct parameter parameters[] = {{"blocks", &blocks, 1, 100000000},
                                              {"rounds", &rounds, 1, 1000000},
                                              {"least", &least, 1, 1000000},
                                              {"most", &most, 1, 1000000}};

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    load_range(least, most);
    struct block *table = table_new((size_t)blocks, sizeof *table);
    uint64_t random = random_stream(0);
    for (long r = 0; r < rounds; r++) {
        for (size_t i = 0; i < (size_t)blocks; i++)
            block_new(&table[i], random_between(&random, (size_t)least, (size_t)most), (uint32_t)i + (uint32_t)r);
        for (size_t i = (size_t)blocks; i > 0; i--) {
            size_t chosen = random_below(&random, i);
            block_drop(&table[chosen]);
            table[chosen] = table[i - 1];
        }
    }
    return 0;
}
