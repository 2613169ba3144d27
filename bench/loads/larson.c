/* SPDX-License-Identifier: MIT */
/* A server: each thread replaces random blocks of its set, then starts a thread that inherits the set, and ends, so
 * that blocks are freed by others than those who allocated them ("bleeding"). After Larson and Krishnan, "Memory
 * allocation for long-running server applications" (ISMM 1998); sizes and sets as in mimalloc-bench's `larson 5 8 1000
 * 5000 …`. */
#include <semaphore.h>
#include "load.h"

static long threads = 2, blocks = 5000, replacements = 100000, generations = 40, least = 8, most = 1000, seconds = 0;

static const struct parameter parameters[] = {{"threads", &threads, 1, 10000},
                                              {"blocks", &blocks, 1, 10000000},
                                              {"replacements", &replacements, 1, 1000000000},
                                              {"generations", &generations, 1, 1000000000},
                                              {"least", &least, 1, 1000000},
                                              {"most", &most, 1, 1000000},
                                              {"seconds", &seconds, 0, 1000000}};

struct set {
    _Alignas(LINE) struct block *blocks; /* no two threads write to one line of the load's own */
    uint64_t random;
    long generation;
};

static sem_t ended;
static double deadline;

static void replace(struct set *set, size_t i) {
    uint64_t *random = &set->random;
    if (set->blocks[i].at != NULL)
        block_drop(&set->blocks[i]);
    block_new(&set->blocks[i], random_between(random, (size_t)least, (size_t)most), (uint32_t)random_next(random));
}

static void *serve(void *data) {
    struct set *set = data;
    for (long i = 0; i < replacements; i++)
        replace(set, random_below(&set->random, (size_t)blocks));
    set->generation++;
    if (seconds > 0 ? now() < deadline : set->generation < generations)
        pthread_detach(thread_start(serve, set));
    else
        sem_post(&ended);
    return NULL;
}

/* The whole of a set is allocated by the first thread, as in the original. */
static void prepare(struct set *set, long number) {
    set->blocks = table_new((size_t)blocks, sizeof *set->blocks);
    set->random = random_stream(number);
    for (size_t i = 0; i < (size_t)blocks; i++)
        replace(set, i);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    load_range(least, most);
    struct set *sets = table_new((size_t)threads, sizeof *sets);
    long done = 0;
    for (long i = 0; i < threads; i++)
        prepare(&sets[i], i);
    sem_init(&ended, 0, 0);
    double started = now();
    deadline = started + (double)seconds;
    for (long i = 0; i < threads; i++)
        pthread_detach(thread_start(serve, &sets[i]));
    for (long i = 0; i < threads; i++)
        while (sem_wait(&ended) != 0)
            ;
    double elapsed = now() - started;
    for (long i = 0; i < threads; i++) {
        done += sets[i].generation;
        for (long k = 0; k < blocks; k++)
            block_drop(&sets[i].blocks[k]);
    }
    if (seconds == 0 && done != threads * generations)
        load_fail("%ld generations instead of %ld", done, threads * generations);
    if (seconds > 0)
        figure("rate", (double)(done * replacements) / elapsed, "replacements/s");
    return 0;
}
