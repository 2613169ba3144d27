/* SPDX-License-Identifier: MIT */
/* Threads in a ring: each takes a batch from the one before, frees its blocks, allocates as many anew and passes them
 * on, so that every thread frees what another allocated. At the end each allocates small blocks, and the cache lines
 * that hold blocks of two threads are counted. Written for this bench, after the two-way stages of a pipeline of
 * servers. */
#include "load.h"

enum { BATCH = 64, SMALL = 64 };

static long threads = 4, steps = 45000, circling = 8, least = 16, most = 256;

static const struct parameter parameters[] = {{"threads", &threads, 1, 1000},
                                              {"steps", &steps, 1, 1000000000},
                                              {"circling", &circling, 1, QUEUE_MOST - 1},
                                              {"least", &least, 1, 1000000},
                                              {"most", &most, 1, 1000000}};

struct batch {
    struct block blocks[BATCH];
};

static struct queue *queues;
static struct block *small;
static pthread_barrier_t all_done;

static void fill(struct batch *batch, uint64_t *random) {
    for (int i = 0; i < BATCH; i++)
        block_new(&batch->blocks[i], random_between(random, (size_t)least, (size_t)most),
                  (uint32_t)random_next(random));
}

static void *stage(void *data) {
    long number = *(long *)data;
    uint64_t random = random_stream(number);
    for (long i = 0; i < circling; i++) {
        struct batch *batch = checked(malloc(sizeof *batch), sizeof *batch);
        fill(batch, &random);
        queue_put(&queues[(number + 1) % threads], batch);
    }
    for (long s = 0; s < steps; s++) {
        struct batch *batch = queue_take(&queues[number]);
        for (int i = 0; i < BATCH; i++)
            block_drop(&batch->blocks[i]);
        fill(batch, &random);
        queue_put(&queues[(number + 1) % threads], batch);
    }
    pthread_barrier_wait(&all_done);
    for (long i = 0; i < SMALL; i++)
        block_new(&small[number * SMALL + i], random_between(&random, 16, 48), (uint32_t)number);
    pthread_barrier_wait(&all_done);
    return NULL;
}

/* As many batches as were put in must still be there, whole. */
static void drain(void) {
    long left = 0;
    for (long i = 0; i < threads; i++)
        for (; queues[i].count > 0; left++) {
            struct batch *batch = queue_take(&queues[i]);
            for (int k = 0; k < BATCH; k++)
                block_drop(&batch->blocks[k]);
            free(batch);
        }
    if (left != threads * circling)
        load_fail("%ld batches were left instead of %ld", left, threads * circling);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    load_range(least, most);
    long *numbers = table_new((size_t)threads, sizeof *numbers);
    queues = table_new((size_t)threads, sizeof *queues);
    small = table_new((size_t)threads * SMALL, sizeof *small);
    pthread_barrier_init(&all_done, NULL, (unsigned)threads);
    for (long i = 0; i < threads; i++) {
        numbers[i] = i;
        queue_init(&queues[i], QUEUE_MOST);
    }
    threads_run(threads, stage, numbers, sizeof *numbers);
    drain();
    figure("shared-lines", (double)lines_shared(small, (size_t)threads, SMALL), "lines");
    for (long i = 0; i < threads * SMALL; i++)
        block_drop(&small[i]);
    return 0;
}
