/* SPDX-License-Identifier: MIT */
/* Batches of blocks, the last allocated freed first (a stack) or the first allocated freed first (a queue). After
 * sh6bench of MicroQuill as mimalloc-bench describes it: most blocks die in the order of a stack, some in the other. */
#include "load.h"

static long fifo = 0, depth = 50000, batches = 24000, batch = 1000, least = 1, most = 1000;

static const struct parameter parameters[] = {
    {"fifo", &fifo, 0, 1},          {"depth", &depth, 1, 100000000}, {"batches", &batches, 1, 1000000000},
    {"batch", &batch, 1, 10000000}, {"least", &least, 1, 1000000},   {"most", &most, 1, 1000000}};

static struct block *blocks;
static size_t first, live;

static void drop_one(void) {
    live--;
    if (fifo)
        block_drop(&blocks[first++ % (size_t)depth]);
    else
        block_drop(&blocks[(first + live) % (size_t)depth]);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    load_range(least, most);
    blocks = table_new((size_t)depth, sizeof *blocks);
    uint64_t random = random_stream(0);
    long made = 0, dropped = 0;
    for (long i = 0; i < batches; i++) {
        size_t more = random_below(&random, (size_t)batch), less = random_below(&random, (size_t)batch);
        for (; more > 0 && live < (size_t)depth; more--, made++) {
            size_t size = random_between(&random, (size_t)least, (size_t)most);
            block_new(&blocks[(first + live++) % (size_t)depth], size, (uint32_t)made);
        }
        for (; less > 0 && live > 0; less--, dropped++)
            drop_one();
    }
    for (; live > 0; dropped++)
        drop_one();
    if (made != dropped || made == 0)
        load_fail("%ld blocks made, %ld dropped", made, dropped);
    return 0;
}
