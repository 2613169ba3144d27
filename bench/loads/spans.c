/* SPDX-License-Identifier: MIT */
/* Blocks of 33 to 256 KiB, above what allocators keep in size classes and below what they map: each thread replaces random ones
 * of a few, writes to each of their pages, and passes some to the next thread, which frees them. Written for this bench, after
 * the buffers of servers and of media. */
#include "load.h"

enum { PAGE = 4096, CROSSING_EVERY = 4 };

static long threads = 4, blocks = 8, replacements = 200000, least = 33 * 1024, most = 256 * 1024;

static const struct parameter parameters[] = {{"threads", &threads, 1, 10000},
                                              {"blocks", &blocks, 1, 100000},
                                              {"replacements", &replacements, 1, 1000000000},
                                              {"least", &least, 1, 100000000},
                                              {"most", &most, 1, 100000000}};

struct worker {
    _Alignas(LINE) struct block *blocks, *inbox; /* the inbox holds a block that is described in itself */
    uint64_t random;
    long replaced;
};

static struct worker *workers;

static void make(struct block *block, uint64_t *random) {
    block_new(block, random_between(random, (size_t)least, (size_t)most), (uint32_t)random_next(random));
    for (size_t at = PAGE; at + 1 < block->size; at += PAGE)
        block->at[at] = 1;
}

static void drop_passed(struct block *passed) {
    if (passed == NULL)
        return;
    struct block block = *passed;
    memcpy(block.at, &block.tag, sizeof block.tag);
    block_drop(&block);
}

/* The next thread gets the block; what it has not fetched yet comes back, and is dropped. */
static void pass(struct worker *self, struct block *block) {
    struct worker *next = &workers[(self - workers + 1) % threads];
    struct block *passed = (struct block *)block->at;
    block_check(block);
    if (block->size > sizeof *passed) {
        *passed = *block;
        drop_passed(__atomic_exchange_n(&next->inbox, passed, __ATOMIC_ACQ_REL));
    } else {
        block_drop(block);
    }
    drop_passed(__atomic_exchange_n(&self->inbox, NULL, __ATOMIC_ACQ_REL));
}

static void *work(void *data) {
    struct worker *self = data;
    for (long i = 0; i < blocks; i++)
        make(&self->blocks[i], &self->random);
    for (long i = 1; i <= replacements / threads; i++) {
        struct block *block = &self->blocks[random_below(&self->random, (size_t)blocks)];
        if (i % CROSSING_EVERY == 0)
            pass(self, block);
        else
            block_drop(block);
        make(block, &self->random);
        self->replaced++;
    }
    for (long i = 0; i < blocks; i++)
        block_drop(&self->blocks[i]);
    return NULL;
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    load_range(least, most);
    struct block *all = table_new((size_t)(threads * blocks), sizeof *all);
    long replaced = 0;
    workers = table_new((size_t)threads, sizeof *workers);
    for (long i = 0; i < threads; i++)
        workers[i] = (struct worker){.blocks = all + i * blocks, .random = random_stream(i)};
    threads_run(threads, work, workers, sizeof *workers);
    for (long i = 0; i < threads; i++) {
        drop_passed(workers[i].inbox);
        replaced += workers[i].replaced;
    }
    if (replaced != replacements / threads * threads)
        load_fail("%ld blocks replaced instead of %ld", replaced, replacements / threads * threads);
    return 0;
}
