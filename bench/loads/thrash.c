/* SPDX-License-Identifier: MIT */
/* Active false sharing: workers allocate small blocks by turns and each writes to its own many times. Counts the cache
 * lines that hold blocks of two workers. After cache-thrash of Berger et al., "Hoard" (ASPLOS 2000). --size 0 takes 8,
 * 16, 24, 32, 48. */
#include "load.h"

static long threads = 8, blocks = 16, size = 0, iterations = 500, repetitions = 16000;

static const struct parameter parameters[] = {{"threads", &threads, 1, 1000},
                                              {"blocks", &blocks, 1, 1000},
                                              {"size", &size, 0, 1000000},
                                              {"iterations", &iterations, 1, 10000000},
                                              {"repetitions", &repetitions, 1, 10000000}};

static struct block *table;
static pthread_barrier_t all_here;
static size_t bytes;

/* Round after round, each thread allocates one block: an allocator that deals from one place deals one line to all. */
static void *work(void *data) {
    struct block *mine = data;
    uint32_t tag = (uint32_t)((mine - table) / blocks) + 1;
    for (long i = 0; i < blocks; i++) {
        pthread_barrier_wait(&all_here);
        block_new(&mine[i], bytes, tag);
    }
    pthread_barrier_wait(&all_here);
    pthread_barrier_wait(&all_here); /* the lines are counted meanwhile */
    for (long i = 0; i < iterations; i++) {
        struct block *block = &mine[i % blocks];
        block_hammer(block, repetitions);
        block_drop(block);
        block_new(block, bytes, tag);
    }
    for (long i = 0; i < blocks; i++)
        block_drop(&mine[i]);
    return NULL;
}

static long run(size_t size_of_block) {
    bytes = size_of_block;
    pthread_t *ids = table_new((size_t)threads, sizeof *ids);
    pthread_barrier_init(&all_here, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads; i++)
        ids[i] = thread_start(work, &table[i * blocks]);
    for (long i = 0; i < blocks + 1; i++)
        pthread_barrier_wait(&all_here);
    long shared = lines_shared(table, (size_t)threads, (size_t)blocks);
    pthread_barrier_wait(&all_here);
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&all_here);
    return shared;
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    table = table_new((size_t)(threads * blocks), sizeof *table);
    lines_figures(size, run);
    return 0;
}
