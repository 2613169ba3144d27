/* SPDX-License-Identifier: MIT */
/* Pairs of malloc and free for counting instructions (instructions.py): pairs [empty]. For each of the sizes, after a
 * warm-up, TIMES pairs one at a time within one_at_a_time, then as many with a hundred blocks live within hundred_live.
 * With `empty` the same calls go to a function that only returns: what the loops themselves take. Prints where malloc
 * comes from. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIMES = 10000, LIVE = 100, WARM_UP = 3000 };

static const size_t sizes[] = {16, 64, 256, 1024, 8192, 65536};

/* One instruction, whatever the compiler. */
__asm__(".text\n.globl nothing\n.type nothing, @function\nnothing:\n    ret\n");
void nothing(void);

static void *(*volatile take)(size_t) = malloc;
static void (*volatile give)(void *) = free;

static inline __attribute__((always_inline)) void pairs_alone(size_t bytes, int times) {
    for (int i = 0; i < times; i++)
        give(take(bytes));
}

static inline __attribute__((always_inline)) void with_hundred(size_t bytes, int times) {
    static void *blocks[LIVE];
    for (int i = 0; i < times; i += LIVE) {
        for (int k = 0; k < LIVE; k++)
            blocks[k] = take(bytes);
        for (int k = 0; k < LIVE; k++)
            give(blocks[k]);
    }
}

__attribute__((noinline)) void one_at_a_time(size_t bytes) {
    pairs_alone(bytes, TIMES);
    __asm__ volatile("");
}

__attribute__((noinline)) void hundred_live(size_t bytes) {
    with_hundred(bytes, TIMES);
    __asm__ volatile("");
}

int main(int argc, char **argv) {
    Dl_info info;
    (void)argv;
    if (dladdr((void *)malloc, &info) == 0)
        return 1;
    puts(info.dli_fname);
    if (argc > 1) {
        take = (void *(*)(size_t))nothing;
        give = (void (*)(void *))nothing;
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        pairs_alone(sizes[i], WARM_UP);
        with_hundred(sizes[i], WARM_UP);
        one_at_a_time(sizes[i]);
        hundred_live(sizes[i]);
    }
    return 0;
}
