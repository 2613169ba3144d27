/* SPDX-License-Identifier: MIT */
/* Phases of threads with unequal work that end while some of their blocks survive: these move through a table that all
 * share, and threads of later phases free them. Sizes are powers of two. After mstress of mimalloc-bench. */
#include "load.h"

enum { SHARED = 1000, LEAST_POWER = 4 };

static long threads = 8, phases = 40, work = 10000, powers = 12;

static const struct parameter parameters[] = {{"threads", &threads, 1, 10000},
                                              {"phases", &phases, 1, 1000000},
                                              {"work", &work, 1, 10000000},
                                              {"powers", &powers, 1, 20}};

static unsigned char *shared[SHARED];
static long made, dropped;

/* The power of two is in the low bits of the tag, so that a block can be checked by whoever meets it. */
static void make(struct block *block, uint64_t *random) {
    uint32_t power = LEAST_POWER, tag = (uint32_t)random_next(random) & ~31u;
    while (power < LEAST_POWER + (uint32_t)powers - 1 && random_below(random, 2) == 0)
        power++;
    block_new(block, (size_t)1 << power, tag | power);
}

static long drop_shared(unsigned char *p) {
    struct block block = {.at = p};
    if (p == NULL)
        return 0;
    memcpy(&block.tag, p, sizeof block.tag);
    block.size = 1u << (block.tag & 31);
    block_drop(&block);
    return 1;
}

static long share(struct block *block, uint64_t *random) {
    return drop_shared(__atomic_exchange_n(&shared[random_below(random, SHARED)], block->at, __ATOMIC_ACQ_REL));
}

static void *phase(void *data) {
    long number = *(long *)data, count = work * (number % 4 + 1), ended = 0;
    uint64_t random = random_stream(number);
    struct block *blocks = checked(calloc((size_t)count, sizeof *blocks), (size_t)count);
    for (long i = 0; i < count; i++) {
        make(&blocks[i], &random);
        size_t k = random_below(&random, (size_t)i + 1);
        if (i % 2 == 0 && blocks[k].at != NULL) { /* half die at once or soon */
            block_drop(&blocks[k]);
            ended++;
        }
    }
    for (long i = 0; i < count; i++)
        if (blocks[i].at != NULL && random_below(&random, 10) == 0)
            ended += share(&blocks[i], &random);
        else if (blocks[i].at != NULL) {
            block_drop(&blocks[i]);
            ended++;
        }
    free(blocks);
    __atomic_add_fetch(&made, count, __ATOMIC_RELAXED);
    __atomic_add_fetch(&dropped, ended, __ATOMIC_RELAXED);
    return NULL;
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    long *numbers = table_new((size_t)threads, sizeof *numbers);
    for (long p = 0; p < phases; p++) {
        for (long i = 0; i < threads; i++)
            numbers[i] = p * threads + i;
        threads_run(threads, phase, numbers, sizeof *numbers);
    }
    for (long i = 0; i < SHARED; i++)
        dropped += drop_shared(shared[i]);
    if (made != dropped)
        load_fail("%ld blocks made, %ld dropped", made, dropped);
    return 0;
}
