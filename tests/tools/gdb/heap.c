/* SPDX-License-Identifier: MIT */
/* A heap with blocks of known kinds, for gdb.test, which stops it at ready(). `heap damage` then writes into a freed
 * block. */
#include <malloc.h>
#include <pthread.h>

#include "tap.h"

#define COUNT 200
#define HOLES 40
#define KEPT 4 /* blocks of four units, all that a thread may keep */
#define TINY 4000 /* more than a span structure has bits for */

char *live_small, *freed_small, *live_large, *freed_large, *mapped, *home, *tiny_home, *tiny_live, *other_list, *own, *kept_large;
char *blocks[COUNT], *tiny[TINY], *large[HOLES], *reused[HOLES], *kept[KEPT];
static pthread_barrier_t begun, filled, done;

__attribute__((noinline)) void ready(void) {
    __asm__ volatile("");
}

__attribute__((noinline)) char *allocate_here(size_t bytes) {
    return malloc(bytes);
}

/* Frees a block on its own list, which a thread has once it allocates of the class, and stays alive. */
static void *hold(void *data) {
    pthread_barrier_wait(&begun);
    own = malloc(malloc_usable_size(data));
    free(data);
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&done);
    return NULL;
}

/* Spans of small blocks where free spans were before: their structures keep a part of what those held. */
static void reuse_spans(void) {
    for (int i = 0; i < HOLES; i++)
        large[i] = malloc(40000);
    for (int i = 0; i < HOLES; i += 2)
        free(large[i]);
    for (int i = 0; i < HOLES; i++)
        reused[i] = malloc(3000);
}

/* Large blocks that are taken and freed again and again: the thread keeps them. */
static void keep(void) {
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < KEPT; i++)
            kept[i] = malloc(60000);
        for (int i = 0; i < KEPT; i++)
            free(kept[i]);
    }
    kept_large = kept[0];
}

/* A span holds several: one stays, its neighbours go home. */
static void allocate_and_trim(void) {
    reuse_spans();
    for (int i = 0; i < COUNT; i++)
        blocks[i] = malloc(4000);
    for (int i = 0; i < COUNT; i++)
        if (i % 5 != 0)
            free(blocks[i]);
    for (int i = 0; i < TINY; i++)
        tiny[i] = malloc(16);
    for (int i = 0; i < TINY; i++)
        if (i % 100 != 50)
            free(tiny[i]);
    malloc_trim(0);
    keep();
    tiny_home = tiny[3900];
    tiny_live = tiny[3950];
    home = blocks[1];
}

int main(int count, char **arguments) {
    tap_watchdog(100);
    pthread_t id;
    live_small = allocate_here(1000);
    freed_small = malloc(500);
    live_large = malloc(50000);
    freed_large = malloc(70000);
    mapped = malloc(10 << 20);
    other_list = malloc(720);
    pthread_barrier_init(&begun, NULL, 2);
    pthread_barrier_init(&filled, NULL, 2);
    pthread_barrier_init(&done, NULL, 2);
    pthread_create(&id, NULL, hold, other_list);
    pthread_barrier_wait(&begun);
    pthread_barrier_wait(&filled);
    allocate_and_trim();
    free(freed_small);
    free(freed_large);
    if (count > 1 && strcmp(arguments[1], "damage") == 0)
        *(volatile size_t *)(void *)freed_small = 0x123456789abcdef0; /* a write after free */
    ready();
    pthread_barrier_wait(&done);
    pthread_join(id, NULL);
    return 0;
}
