/* SPDX-License-Identifier: MIT */
/* Pairs of malloc and free and next to nothing else, in time: --pattern says which. A pair of few instructions may still be
 * slow where each instruction waits for what the one before it has stored, so time and instructions (../pairs.c) are measured
 * apart. Windows of a fraction of a millisecond; the rate is that of the median window, which what else the machine does
 * hardly moves. Every block is written to and read again, as a program would. */
#include "load.h"

enum { TIGHT, TURNS, LIFO, FIFO, RANDOM, SPREAD, CHASE, PATTERNS };
enum { WINDOW_PAIRS = 20000, WINDOWS_MOST = 100000, SLOTS_MOST = 10000, SIZES = 8, HUNDRED = 100 };

static long pattern = TIGHT, milliseconds = 300;

static const struct parameter parameters[] = {{"pattern", &pattern, 0, PATTERNS - 1},
                                              {"milliseconds", &milliseconds, 10, 1000000}};

static const size_t eight[SIZES] = {16, 32, 48, 64, 96, 128, 192, 256};
static uint64_t *slots[SLOTS_MOST];
static uint32_t random_state;

/* A step of a linear congruential generator: what decides must cost less than what is measured. */
static inline uint32_t below(uint32_t limit) {
    random_state = random_state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)random_state * limit >> 32);
}

static inline uint64_t *take(size_t bytes, uint64_t number) {
    uint64_t *block = malloc(bytes);
    if (block == NULL)
        load_fail("memory was refused");
    *block = number;
    return block;
}

static inline void give(uint64_t *block, uint64_t number) {
    if (*block != number)
        load_fail("a block does not hold what was written");
    free(block);
}

static inline void replace(uint32_t slot, size_t bytes) {
    give(slots[slot], slot);
    slots[slot] = take(bytes, slot);
}

static void tight(void) {
    for (int i = 0; i < WINDOW_PAIRS; i++)
        give(take(64, (uint64_t)i), (uint64_t)i);
}

static void turns(void) {
    for (int i = 0; i < WINDOW_PAIRS; i++)
        give(take(eight[i % SIZES], (uint64_t)i), (uint64_t)i);
}

static void lifo(void) {
    for (int i = 0; i < WINDOW_PAIRS / HUNDRED; i++) {
        for (int k = 0; k < HUNDRED; k++)
            slots[k] = take(64, (uint64_t)k);
        for (int k = HUNDRED; k-- > 0;)
            give(slots[k], (uint64_t)k);
    }
}

static void fifo(void) {
    for (int i = 0; i < WINDOW_PAIRS / HUNDRED; i++) {
        for (int k = 0; k < HUNDRED; k++)
            slots[k] = take(64, (uint64_t)k);
        for (int k = 0; k < HUNDRED; k++)
            give(slots[k], (uint64_t)k);
    }
}

static void random_eight(void) {
    for (int i = 0; i < WINDOW_PAIRS; i++)
        replace(below(1000), eight[below(SIZES)]);
}

static void spread(void) {
    for (int i = 0; i < WINDOW_PAIRS; i++)
        replace(below(SLOTS_MOST), 8 + below(1017));
}

/* How many bytes are asked for is read from the block before: the calls cannot overlap. */
static void chase(void) {
    size_t bytes = eight[0];
    for (int i = 0; i < WINDOW_PAIRS; i++) {
        uint64_t *block = take(bytes, (uint64_t)i);
        bytes = eight[*block % SIZES];
        give(block, (uint64_t)i);
    }
}

static const struct {
    void (*run)(void);
    uint32_t live;
} patterns[PATTERNS] = {[TIGHT] = {tight, 0},           [TURNS] = {turns, 0},
                        [LIFO] = {lifo, 0},             [FIFO] = {fifo, 0},
                        [RANDOM] = {random_eight, 1000}, [SPREAD] = {spread, SLOTS_MOST},
                        [CHASE] = {chase, 0}};

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    double *windows = table_new(WINDOWS_MOST, sizeof *windows), end = now() + (double)milliseconds / 1e3, started = now();
    size_t count = 0;
    random_state = (uint32_t)load_seed;
    for (uint32_t i = 0; i < patterns[pattern].live; i++)
        slots[i] = take(8 + below(1017), i);
    patterns[pattern].run(); /* the lists fill */
    do {
        started = now();
        patterns[pattern].run();
        windows[count++] = now() - started;
    } while (started < end && count < WINDOWS_MOST);
    for (uint32_t i = 0; i < patterns[pattern].live; i++)
        give(slots[i], i);
    qsort(windows, count, sizeof *windows, by_size);
    figure("rate", WINDOW_PAIRS / windows[count / 2], "pairs/s");
    return 0;
}
