/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=450 serial */
/* Memory: what a producer and a consumer hold stays flat, what is freed goes back, the heap lives with foreign sbrk. */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "tap.h"

#define QUEUE 1024
static _Atomic(void *) queue[QUEUE];
static const size_t transfers = 3000000;

static void *produce(void *data) {
    uint64_t random = 5;
    for (size_t i = 0; i < transfers; i++) {
        char *p = malloc(tap_random(&random) % 500 + 1);
        *p = 1;
        while (atomic_load(&queue[i % QUEUE]) != NULL)
            sched_yield();
        atomic_store(&queue[i % QUEUE], p);
    }
    return data;
}

static void producer_consumer(void) {
    pthread_t producer;
    size_t early = 0;
    pthread_create(&producer, NULL, produce, NULL);
    for (size_t i = 0; i < transfers; i++) {
        void *p;
        while ((p = atomic_load(&queue[i % QUEUE])) == NULL)
            sched_yield();
        atomic_store(&queue[i % QUEUE], NULL);
        free(p);
        if (i == transfers / 10)
            early = tap_resident();
    }
    pthread_join(producer, NULL);
    size_t late = tap_resident();
    tap(late < early + (2 << 20), "one-way traffic does not grow: %zu -> %zu bytes resident", early, late);
}

static void small_blocks_return(void) {
    enum { COUNT = 1000000 };
    void **blocks = malloc(COUNT * sizeof *blocks);
    for (size_t i = 0; i < COUNT; i++)
        memset(blocks[i] = malloc(200), 1, 200);
    size_t full = tap_resident();
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
    free(blocks);
    int said = malloc_trim(0);
    size_t left = tap_resident();
    tap(said == 1 && full > (size_t)190 << 20 && left < (size_t)16 << 20,
        "malloc_trim gives 200 MB of small blocks back: %zu -> %zu bytes resident", full, left);
}

/* Large blocks of which one page is used, beside small ones: no page is touched but those that hold what was written. */
static void sparse_blocks(void) {
    enum { COUNT = 3000, LARGE = 60000, SMALL = 8000 };
    void **blocks = malloc(COUNT * 2 * sizeof *blocks);
    memset(blocks, 0, COUNT * 2 * sizeof *blocks);
    size_t before = tap_resident(), page = (size_t)sysconf(_SC_PAGESIZE), used = COUNT * (page + 8192);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[2 * i] = memset(malloc(LARGE), 1, 1);
        blocks[2 * i + 1] = memset(malloc(SMALL), 1, SMALL);
    }
    size_t taken = tap_resident() - before;
    tap(taken < used / 20 * 21 + (3 << 20), "large blocks with a page in use beside small ones: %zu bytes for %zu",
        taken, used);
    for (size_t i = 0; i < 2 * COUNT; i++)
        free(blocks[i]);
    free(blocks);
    malloc_trim(0);
}

/* Without malloc_trim: free memory decays about a second after it was freed, on the way of later calls. */
static void decay(void) {
    char *big[40];
    for (int i = 0; i < 40; i++)
        memset(big[i] = malloc(100000), 1, 100000);
    char *large = malloc((size_t)30 << 20);
    free(large); /* moves the threshold: the next one is on the heap */
    large = malloc((size_t)30 << 20);
    memset(large, 1, (size_t)30 << 20);
    size_t full = tap_resident();
    free(large);
    for (int i = 0; i < 40; i++) {
        struct timespec pause = {0, 60 * 1000 * 1000};
        nanosleep(&pause, NULL);
        free(big[i]);
    }
    size_t left = tap_resident();
    tap(left + ((size_t)25 << 20) < full, "free memory decays: %zu -> %zu bytes resident", full, left);
}

/* The same in a program that only allocates from then on. */
static void decay_while_allocating(void) {
    static void *small[2000];
    char *large = malloc((size_t)30 << 20);
    memset(large, 1, (size_t)30 << 20);
    size_t full = tap_resident();
    free(large);
    for (int i = 0; i < 2000; i++) {
        struct timespec pause = {0, 1000 * 1000};
        nanosleep(&pause, NULL);
        small[i] = malloc(3000);
    }
    size_t left = tap_resident();
    tap(left + ((size_t)20 << 20) < full, "it decays while others are allocated: %zu -> %zu bytes resident", full, left);
    for (int i = 0; i < 2000; i++)
        free(small[i]);
}

static void huge_reservations(void) {
    void *blocks[10];
    int got = 0;
    for (int i = 0; i < 10; i++)
        got += (blocks[i] = malloc((size_t)10 << 30)) != NULL;
    tap(got >= 1, "%d blocks of 10 GiB, untouched", got);
    for (int i = 0; i < 10; i++)
        free(blocks[i]);
}

/* Another user of the break: its bytes stay its own, the heap goes on behind them, even when the break moves back. */
static void foreign_break(void) {
    unsigned char *theirs[20];
    void *ours[2000];
    bool intact = true;
    for (int i = 0; i < 20; i++) {
        size_t bytes = 1000 + (size_t)i * 5000;
        theirs[i] = sbrk((intptr_t)bytes);
        memset(theirs[i], 0x5a, bytes);
        for (int k = i * 100; k < i * 100 + 100; k++)
            memset(ours[k] = malloc(20000), k, 20000);
        if (i % 3 == 2) {
            void *top = sbrk(64 << 10);
            if (sbrk(0) == (char *)top + (64 << 10))
                sbrk(-(64 << 10));
        }
    }
    malloc_trim(0);
    for (int k = 0; k < 2000; k++) {
        intact = intact && ((unsigned char *)ours[k])[19999] == (unsigned char)k;
        free(ours[k]);
    }
    malloc_trim(0);
    for (int i = 0; i < 20; i++)
        for (size_t at = 0; at < 1000 + (size_t)i * 5000; at++)
            intact = intact && theirs[i][at] == 0x5a;
    tap(intact, "memory of other callers of sbrk stays theirs");
    void *p = malloc(10 << 20);
    tap(p != NULL, "the heap goes on");
    free(p);
}

int main(void) {
    tap_watchdog(140);
    producer_consumer();
    small_blocks_return();
    sparse_blocks();
    decay();
    decay_while_allocating();
    huge_reservations();
    foreign_break();
    return tap_done();
}
