/* SPDX-License-Identifier: MIT */
/* Blocks that grow by realloc: many small vectors at a time, doubling from 16 bytes, and between them one large buffer
 * that grows by a quarter. Written for this bench, after how vectors and string buffers grow. */
#include "load.h"

static long rounds = 8, vectors = 20000, most = 8192, large = 50000000;

static const struct parameter parameters[] = {{"rounds", &rounds, 1, 1000000},
                                              {"vectors", &vectors, 1, 10000000},
                                              {"most", &most, 16, 100000000},
                                              {"large", &large, 1000, 4000000000}};

/* All that was there before must have come along. */
static void grow(struct block *block, size_t size, uint32_t tag) {
    if (block->at != NULL)
        block_check(block);
    unsigned char *p = checked(realloc(block->at, size), size);
    struct block moved = {p, block->size, block->tag};
    if (block->at != NULL)
        block_check(&moved);
    block_adopt(block, p, size, tag);
}

static void grow_large(void) {
    unsigned char *p = NULL;
    size_t have = 0;
    for (size_t size = 1000; size <= (size_t)large; size = size * 5 / 4) {
        p = checked(realloc(p, size), size);
        if (have > 0 && (p[0] != 1 || p[have / 2] != 1 || p[have - 1] != 1))
            load_fail("a buffer of %zu bytes lost its content when it grew to %zu", have, size);
        memset(p + have, 1, size - have);
        have = size;
    }
    free(p);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    struct block *blocks = table_new((size_t)vectors, sizeof *blocks);
    uint64_t random = random_stream(0);
    for (long r = 0; r < rounds; r++) {
        /* Each vector doubles when its turn comes; one that has grown enough makes room for a new one. */
        for (long i = 0; i < vectors * 8; i++) {
            struct block *block = &blocks[random_below(&random, (size_t)vectors)];
            if (block->at != NULL && block->size * 2 > most)
                block_drop(block);
            else
                grow(block, block->at == NULL ? 16 : block->size * 2, (uint32_t)i);
        }
        grow_large();
    }
    for (long i = 0; i < vectors; i++)
        if (blocks[i].at != NULL)
            block_drop(&blocks[i]);
    return 0;
}
