/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug,ubsan timeout=360 */
/* A mode goes on and off all the time while threads free: every free must be counted where it was put, whichever way it
 * was going when the switch was thrown. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

enum { THREADS = 3, BLOCKS = 24, SWITCHES = 1500000, LOOK_EVERY = 64 };

static _Atomic bool stop;
static _Atomic unsigned broken;

static void *trade(void *data) {
    uint64_t random = (uintptr_t)data * 7919 + 3;
    unsigned char *blocks[BLOCKS];
    for (unsigned round = 0; !stop; round++) {
        size_t count = tap_random(&random) % BLOCKS, bytes = (tap_random(&random) % 8 + 1) * 512;
        for (size_t i = 0; i < count; i++)
            memset(blocks[i] = malloc(bytes), (int)i + 1, bytes);
        for (size_t i = 0; i < count; i++) {
            broken += blocks[i][0] != i + 1 || blocks[i][bytes - 1] != i + 1;
            free(blocks[i]);
        }
        if (round % LOOK_EVERY == 0 && myalloc_check_heap() != 0)
            broken++;
        stop = stop || broken > 0;
    }
    return NULL;
}

static void wait_a_little(uint64_t *random) {
    for (volatile unsigned left = tap_random(random) % 300; left > 0; left--)
        continue;
}

static pthread_barrier_t barrier;

/* Fills its lists, and comes to know of the switch by a free. */
static void *hear_late(void *data) {
    static void *blocks[3000];
    for (size_t i = 0; i < 3000; i++)
        blocks[i] = malloc(64 + i % 8 * 16);
    for (size_t i = 1; i < 3000; i++)
        free(blocks[i]);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    free(blocks[0]);
    pthread_barrier_wait(&barrier);
    return data;
}

static void lists_are_emptied(void) {
    pthread_t id;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&id, NULL, hear_late, NULL);
    pthread_barrier_wait(&barrier);
    mallopt(M_PERTURB, 0x5a);
    size_t before = mallinfo2().fsmblks;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    size_t after = mallinfo2().fsmblks;
    mallopt(M_PERTURB, 0);
    pthread_join(id, NULL);
    tap(before > 0 && after == 0, "a thread that hears of it later leaves no list behind (%zu -> %zu bytes)", before, after);
}

int main(void) {
    tap_watchdog(110);
    pthread_t ids[THREADS];
    uint64_t random = 42;
    int switches = 0, wanted = tap_effort(SWITCHES);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, trade, (void *)(i + 1));
    for (; switches < wanted && !stop; switches++) {
        mallopt(M_PERTURB, 0x5a);
        wait_a_little(&random);
        mallopt(M_PERTURB, 0);
        wait_a_little(&random);
    }
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    tap(switches > 0 && broken == 0, "a mode goes on and off %d times while %d threads free", switches, THREADS);
    tap(myalloc_check_heap() == 0, "all invariants hold afterwards");
    lists_are_emptied();
    return tap_done();
}
