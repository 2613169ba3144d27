/* SPDX-License-Identifier: MIT */
/* The same total of work and of live blocks, of mixed sizes, shared out among any number of threads; now and then each
 * passes some of its blocks to the next. After rpmalloc's benchmark as mimalloc-bench runs it (rptest: random sizes up
 * to 16000 bytes, few large, every second loop crossing threads). */
#include "load.h"

enum { CROSSING = 8 };

static long threads = 2, operations = 9000000, live = 64000, most = 16000, loop = 100;

static const struct parameter parameters[] = {{"threads", &threads, 1, 10000},
                                              {"operations", &operations, 1, 10000000000},
                                              {"live", &live, 1, 100000000},
                                              {"most", &most, 16, 1000000},
                                              {"loop", &loop, 1, 1000000}};

struct crossing {
    struct block blocks[CROSSING];
};

struct worker {
    _Alignas(LINE) struct block *blocks; /* no two threads write to one line of the load's own but for the inbox */
    struct crossing *inbox; /* one batch, from the thread before */
    uint64_t random;
    long replaced;
};

static struct worker *workers;
static size_t each;
static pthread_barrier_t all_here;

static void make(struct block *block, uint64_t *random) {
    block_new(block, random_pareto(random, 16, (size_t)most), (uint32_t)random_next(random));
}

static void drop_crossing(struct crossing *crossing) {
    if (crossing == NULL)
        return;
    for (int i = 0; i < CROSSING; i++)
        block_drop(&crossing->blocks[i]);
    free(crossing);
}

/* The next thread gets blocks of ours; what it has not fetched yet comes back, and is dropped. */
static void cross(struct worker *self) {
    struct worker *next = &workers[(self - workers + 1) % threads];
    struct crossing *crossing = checked(malloc(sizeof *crossing), sizeof *crossing);
    for (int i = 0; i < CROSSING; i++) {
        struct block *block = &self->blocks[random_below(&self->random, each)];
        crossing->blocks[i] = *block;
        make(block, &self->random);
    }
    drop_crossing(__atomic_exchange_n(&next->inbox, crossing, __ATOMIC_ACQ_REL));
    drop_crossing(__atomic_exchange_n(&self->inbox, NULL, __ATOMIC_ACQ_REL));
}

static void *work(void *data) {
    struct worker *self = data;
    pthread_barrier_wait(&all_here);
    for (size_t i = 0; i < each; i++)
        make(&self->blocks[i], &self->random);
    for (long i = 1; i <= operations / threads; i++) {
        struct block *block = &self->blocks[random_below(&self->random, each)];
        block_drop(block);
        make(block, &self->random);
        self->replaced++;
        if (i % (loop * 2) == 0)
            cross(self);
    }
    pthread_barrier_wait(&all_here);
    for (size_t i = 0; i < each; i++)
        block_drop(&self->blocks[i]);
    return NULL;
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    workers = table_new((size_t)threads, sizeof *workers);
    each = (size_t)((live + threads - 1) / threads);
    struct block *blocks = table_new(each * (size_t)threads, sizeof *blocks);
    pthread_barrier_init(&all_here, NULL, (unsigned)threads);
    long replaced = 0;
    for (long i = 0; i < threads; i++)
        workers[i] = (struct worker){.blocks = blocks + (size_t)i * each, .random = random_stream(i)};
    threads_run(threads, work, workers, sizeof *workers);
    for (long i = 0; i < threads; i++) {
        drop_crossing(workers[i].inbox);
        replaced += workers[i].replaced;
    }
    if (replaced != operations / threads * threads)
        load_fail("%ld blocks replaced instead of %ld", replaced, operations / threads * threads);
    return 0;
}
