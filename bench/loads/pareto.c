/* SPDX-License-Identifier: MIT */
/* One thread allocates and frees at random; sizes by a Pareto law, and four fifths of the operations on a fifth of the
 * places. After alloc-test of OLogN Technologies (ithare.com, "Testing memory allocators", 2018), in mimalloc-bench. */
#include "load.h"

static long places = 100000, operations = 10000000, most = 65536;

static const struct parameter parameters[] = {
    {"places", &places, 1, 100000000}, {"operations", &operations, 1, 10000000000}, {"most", &most, 16, 100000000}};

/* The eighth power of a number in 0..1 is below 0.2 with a probability of 0.2^(1/8) = 0.82. */
static size_t place(uint64_t *random) {
    double x = (double)(random_next(random) >> 11) * 0x1p-53;
    x *= x;
    x *= x;
    return (size_t)((double)places * x * x);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    struct block *blocks = table_new((size_t)places, sizeof *blocks);
    uint64_t random = random_stream(0);
    long live = 0;
    for (long i = 0; i < operations; i++) {
        struct block *block = &blocks[place(&random)];
        if (block->at != NULL) {
            block_drop(block);
            live--;
        } else {
            block_new(block, random_pareto(&random, 16, (size_t)most), (uint32_t)i);
            live++;
        }
    }
    for (long i = 0; i < places; i++)
        if (blocks[i].at != NULL) {
            block_drop(&blocks[i]);
            live--;
        }
    if (live != 0)
        load_fail("%ld blocks too many or too few", live);
    return 0;
}
