/* SPDX-License-Identifier: MIT */
/* Passive false sharing: the first thread allocates small blocks next to each other, one for each worker; a worker
 * frees its own, allocates anew and writes there many times. Counts the cache lines that hold blocks of two workers
 * after each has allocated anew. After cache-scratch of Berger et al., "Hoard" (ASPLOS 2000). With --warm 1 each worker
 * has used malloc before, as workers of a real program have. --size 0 takes 8, 16, 24, 32, 48. */
#include "load.h"

static long threads = 8, size = 0, warm = 0, iterations = 500, repetitions = 16000;

static const struct parameter parameters[] = {{"threads", &threads, 1, 1000},
                                              {"size", &size, 0, 1000000},
                                              {"warm", &warm, 0, 1},
                                              {"iterations", &iterations, 1, 10000000},
                                              {"repetitions", &repetitions, 1, 10000000}};

static struct block *blocks;
static pthread_barrier_t all_here;
static size_t bytes;

static void *work(void *data) {
    struct block *mine = data;
    uint32_t tag = mine->tag;
    if (warm)
        free(checked(malloc(1000), 1000));
    pthread_barrier_wait(&all_here);
    block_drop(mine);
    block_new(mine, bytes, tag);
    pthread_barrier_wait(&all_here);
    pthread_barrier_wait(&all_here); /* the lines are counted meanwhile */
    for (long i = 0; i < iterations; i++) {
        block_hammer(mine, repetitions);
        block_drop(mine);
        block_new(mine, bytes, tag);
    }
    block_drop(mine);
    return NULL;
}

static long run(size_t size_of_block) {
    bytes = size_of_block;
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
    load_parameters(argc, argv, parameters);
    blocks = table_new((size_t)threads, sizeof *blocks);
    lines_figures(size, run);
    return 0;
}
