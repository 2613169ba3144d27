/* SPDX-License-Identifier: MIT */
/* run: libs=so timeout=360 paced */
/*
 * Young processes that free a burst of blocks and from then on make calls that their lists serve, a hundred pairs a ms: the
 * memory goes back all the same. Each case is a process of its own, of one size or of mixed ones, with one thread and several.
 */
#include <pthread.h>
#include <unistd.h>

#include "tap.h"

enum { BURST = 60 << 20, LEFT = 12 << 20, SECONDS = 15, MIXED = 0 };

static pthread_barrier_t step; /* filled; measured; freed */
static size_t size_of_all; /* or MIXED */
static size_t blocks_each;
static _Atomic bool done;

static size_t next_size(uint64_t *random) {
    return size_of_all != MIXED ? size_of_all : 16 + tap_random(random) % 1000;
}

static void *burst(void *data) {
    uint64_t random = (uintptr_t)data + 7;
    char **blocks = malloc(blocks_each * sizeof *blocks);
    for (size_t i = 0; i < blocks_each; i++) {
        size_t bytes = next_size(&random);
        memset(blocks[i] = malloc(bytes), 1, bytes);
    }
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    for (size_t i = 0; i < blocks_each; i++)
        free(blocks[i]);
    free(blocks);
    pthread_barrier_wait(&step);
    while (!done) {
        for (int i = 0; i < 100; i++) {
            char *volatile block = malloc(next_size(&random));
            free(block);
        }
        usleep(1000);
    }
    return NULL;
}

/* Exit status 0 once the memory has gone back. */
static void wait_till_it_is_back(size_t threads, size_t full) {
    size_t left = full;
    for (int i = 0; i < SECONDS * 10 && left > LEFT; i++) {
        usleep(100000);
        left = tap_resident();
    }
    if (left > LEFT)
        printf("# %zu threads: %zu of %zu bytes are left\n", threads, left, full);
    fflush(stdout);
    _exit(full < BURST || left > LEFT);
}

static void run(size_t threads, size_t bytes) {
    pthread_t thread;
    size_of_all = bytes;
    blocks_each = BURST / threads / (bytes != MIXED ? bytes : 516);
    pthread_barrier_init(&step, NULL, (unsigned)threads + 1);
    for (uintptr_t i = 0; i < threads; i++)
        if (pthread_create(&thread, NULL, burst, (void *)i) != 0)
            _exit(2);
    pthread_barrier_wait(&step);
    size_t full = tap_resident(); /* much of it goes at the frees themselves */
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    wait_till_it_is_back(threads, full);
}

static void try_burst(size_t threads, size_t bytes) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(60);
        run(threads, bytes);
    }
    tap(tap_child_passed(child), "%zu threads that free 60 MB of blocks of %zu bytes%s, and then call lists only", threads,
        bytes, bytes == MIXED ? " (mixed)" : "");
}

int main(void) {
    static const size_t sizes[] = {64, 4096, 20000, MIXED};
    tap_watchdog(110);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        try_burst(1, sizes[i]);
    try_burst(4, 64);
    try_burst(4, 20000);
    return tap_done();
}
