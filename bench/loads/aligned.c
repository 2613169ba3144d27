/* SPDX-License-Identifier: MIT */
/* Aligned blocks by the three entry points, between plain ones. Written for this bench, after codecs and numerical
 * programs, which align to vectors, cache lines, pairs of lines and pages; --all 1 adds the powers of two between. */
#include <malloc.h>
#include "load.h"

static long places = 20000, operations = 8000000, most = 2048, all = 0;

static const struct parameter parameters[] = {{"places", &places, 1, 10000000},
                                              {"operations", &operations, 1, 10000000000},
                                              {"most", &most, 16, 100000000},
                                              {"all", &all, 0, 1}};

/* 16 to 64 are common, a page is rare. */
static size_t choose_alignment(uint64_t *random) {
    static const unsigned short common[16] = {16, 16, 16, 16, 16, 32, 32, 32, 32, 64, 64, 64, 64, 128, 128, 4096};
    return all ? (size_t)16 << random_below(random, 9) : common[random_below(random, 16)];
}

static void *allocate(long turn, size_t alignment, size_t size) {
    void *p = NULL;
    switch (turn % 4) {
    case 0:
        return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    case 1:
        return posix_memalign(&p, alignment, size) == 0 ? p : NULL;
    case 2:
        return memalign(alignment, size);
    default:
        return malloc(size);
    }
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    struct block *blocks = table_new((size_t)places, sizeof *blocks);
    uint64_t random = random_stream(0);
    for (long i = 0; i < operations; i++) {
        struct block *block = &blocks[random_below(&random, (size_t)places)];
        size_t size = random_pareto(&random, 16, (size_t)most), alignment = choose_alignment(&random);
        if (block->at != NULL)
            block_drop(block);
        void *p = checked(allocate(i, alignment, size), size);
        if (i % 4 != 3 && (uintptr_t)p % alignment != 0)
            load_fail("%p, of %zu bytes, is not aligned to %zu", p, size, alignment);
        block_adopt(block, p, size, (uint32_t)i);
    }
    for (long i = 0; i < places; i++)
        if (blocks[i].at != NULL)
            block_drop(&blocks[i]);
    return 0;
}
