/* SPDX-License-Identifier: MIT */
/* calloc of all sizes up to some pages, each block verified to be zero, then filled before it is freed. Written for
 * this bench, after programs that allocate records with calloc. */
#include "load.h"

static long places = 20000, operations = 5000000, most = 32768;

static const struct parameter parameters[] = {
    {"places", &places, 1, 10000000}, {"operations", &operations, 1, 10000000000}, {"most", &most, 16, 100000000}};

static void verify_zero(const unsigned char *p, size_t size) {
    if (p[0] != 0 || memcmp(p, p + 1, size - 1) != 0)
        load_fail("a block of %zu bytes from calloc is not zero", size);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    struct block *blocks = table_new((size_t)places, sizeof *blocks);
    uint64_t random = random_stream(0);
    for (long i = 0; i < operations; i++) {
        struct block *block = &blocks[random_below(&random, (size_t)places)];
        size_t size = random_pareto(&random, 16, (size_t)most);
        if (block->at != NULL) {
            memset(block->at + sizeof block->tag, 0xa5, block->size - sizeof block->tag - 1);
            block_drop(block);
        }
        unsigned char *p = checked(calloc(size / 8, 8), size / 8 * 8);
        verify_zero(p, size / 8 * 8);
        block_adopt(block, p, size / 8 * 8, (uint32_t)i);
    }
    for (long i = 0; i < places; i++)
        if (blocks[i].at != NULL)
            block_drop(&blocks[i]);
    return 0;
}
