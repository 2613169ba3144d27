/* SPDX-License-Identifier: MIT */
/* Rounds of filling a table with one range of sizes and dropping part of it, every second block in the first half and
 * two of three in the rest, then the next range: what was dropped must serve other sizes. Written for this bench; the
 * question is that of Johnstone and Wilson, "The memory fragmentation problem: solved?" (ISMM 1998). */
#include "load.h"

static long blocks = 300000, rounds = 14, ranges = 4, step = 40;

static const struct parameter parameters[] = {{"blocks", &blocks, 2, 100000000},
                                              {"rounds", &rounds, 1, 1000000},
                                              {"ranges", &ranges, 1, 1000},
                                              {"step", &step, 0, 100000}};

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    struct block *table = table_new((size_t)blocks, sizeof *table);
    uint64_t random = random_stream(0);
    for (long r = 0; r < rounds; r++) {
        for (long i = 0; i < blocks; i++)
            if (table[i].at == NULL) {
                size_t size = 24 + (size_t)(r % ranges * step) + random_below(&random, 100);
                block_new(&table[i], size, (uint32_t)(i ^ r));
            }
        for (long i = 0; i < blocks; i++)
            if (i < blocks / 2 ? (i + r) % 2 : (i + r) % 3)
                block_drop(&table[i]);
    }
    for (long i = 0; i < blocks; i++)
        if (table[i].at != NULL)
            block_drop(&table[i]);
    return 0;
}
