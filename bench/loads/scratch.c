/* SPDX-License-Identifier: MIT */
/* Passive false sharing: the first thread allocates small blocks next to each other, one for each worker; a worker frees
 * its own, allocates anew and writes there many times. Counts the cache lines that hold blocks of two workers after each
 * has allocated anew. After cache-scratch of Berger et al., "Hoard" (ASPLOS 2000). --size 0 takes 8, 16, 24, 32, 48. */
#include "load.h"

static long threads = 8, size = 0, iterations = 100, repetitions = 80000;

static const struct parameter parameters[] = {{"threads", &threads, 1, 1000},
                                              {"size", &size, 0, 1000000},
                                              {"iterations", &iterations, 1, 10000000},
                                              {"repetitions", &repetitions, 1, 10000000}};

static struct block *blocks;
static pthread_barrier_t all_here;
static size_t bytes;

/* Counts up in the last byte, in memory each time. */
static void scratch(struct block *block) {
    volatile unsigned char *last = block->at + block->size - 1;
    for (long r = 0; r < repetitions; r++)
        *last = (unsigned char)(*last + 1);
    if (*last != (unsigned char)(block->tag + (unsigned long)repetitions))
        load_fail("%ld writes to a block of %u bytes did not add up", repetitions, block->size);
    *last = (unsigned char)block->tag;
}

static void *work(void *data) {
    struct block *mine = data;
    uint32_t tag = mine->tag;
    pthread_barrier_wait(&all_here);
    block_drop(mine);
    block_new(mine, bytes, tag);
    pthread_barrier_wait(&all_here);
    pthread_barrier_wait(&all_here); /* the lines are counted meanwhile */
    for (long i = 0; i < iterations; i++) {
        scratch(mine);
        block_drop(mine);
        block_new(mine, bytes, tag);
    }
    block_drop(mine);
    return NULL;
}

static long run(void) {
    pthread_t *ids = table_new((size_t)threads, sizeof *ids);
    pthread_barrier_init(&all_here, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads; i++)
        block_new(&blocks[i], bytes, (uint32_t)i + 1);
    for (long i = 0; i < threads; i++)
        ids[i] = thread_start(work, &blocks[i]);
    pthread_barrier_wait(&all_here);
    pthread_barrier_wait(&all_here);
    long shared = lines_shared(blocks, (size_t)threads, 1);
    pthread_barrier_wait(&all_here);
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&all_here);
    return shared;
}

int main(int argc, char **argv) {
    static const size_t sizes[] = {8, 16, 24, 32, 48};
    load_parameters(argc, argv, parameters);
    blocks = table_new((size_t)threads, sizeof *blocks);
    long total = 0;
    for (size_t i = 0; i < (size > 0 ? 1 : sizeof sizes / sizeof *sizes); i++) {
        char name[32];
        bytes = size > 0 ? (size_t)size : sizes[i];
        long shared = run();
        snprintf(name, sizeof name, "shared-lines-%zu", bytes);
        figure(name, (double)shared, "lines");
        total += shared;
    }
    figure("shared-lines", (double)total, "lines");
    return 0;
}
