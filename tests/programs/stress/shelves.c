/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug,ubsan timeout=360 */
/* Large blocks taken, resized and freed by more threads than there are processors, a quarter by the next thread, while the
 * process forks, trims and is looked at: what lies on shelves (heap/span_shelf.h) is never two blocks at once, nor lost. Half of
 * the threads take blocks of one size, to the unit, so that they keep some (heap/cache_large.h). */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

enum { THREADS = 12, BLOCKS = 8, ROUNDS = 1500, FORKS = 12, LEAST = 33000, ALIKE = 49152, MOST = 262144, PAGE = 4096 };

static _Atomic(unsigned char *) boxes[THREADS];
static _Atomic unsigned broken, running;

/* The first word is the length, and all pages have a word that goes by it. */
static void fill(unsigned char *block, size_t bytes, size_t from) {
    for (size_t at = from; at + sizeof bytes <= bytes; at += PAGE)
        memcpy(block + at, &bytes, sizeof bytes);
}

static void look(const unsigned char *block) {
    size_t bytes, word;
    memcpy(&bytes, block, sizeof bytes);
    broken += bytes < LEAST || bytes > 2 * MOST;
    for (size_t at = 0; broken == 0 && at + sizeof word <= bytes; at += PAGE) {
        memcpy(&word, block + at, sizeof word);
        broken += word != bytes;
    }
}

static void drop(unsigned char *block) {
    if (block == NULL)
        return;
    look(block);
    free(block);
}

static unsigned char *make(uint64_t *random, size_t most) {
    size_t bytes = LEAST + tap_random(random) % (most - LEAST);
    unsigned char *block = malloc(bytes);
    fill(block, bytes, 0);
    if (tap_random(random) % 8 == 0) {
        look(block);
        bytes = LEAST + tap_random(random) % (most - LEAST);
        block = realloc(block, bytes);
        fill(block, bytes, 0);
    }
    return block;
}

static void *trade(void *data) {
    size_t self = (size_t)(uintptr_t)data;
    unsigned rounds = (unsigned)tap_effort(ROUNDS);
    uint64_t random = self * 7919 + 3;
    unsigned char *mine[BLOCKS] = {NULL};
    for (unsigned i = 0; i < rounds && broken == 0; i++) {
        unsigned char **at = &mine[tap_random(&random) % BLOCKS];
        drop(i % 4 == 0 ? atomic_exchange(&boxes[(self + 1) % THREADS], *at) : *at);
        *at = make(&random, self % 2 ? ALIKE : MOST);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        drop(mine[i]);
    running--;
    return NULL;
}

/* A child has a heap that is whole, with the blocks of threads that it has not. */
static bool fork_and_look(uint64_t *random) {
    pid_t child = fork();
    int status = -1;
    if (child == 0) {
        for (int i = 0; i < 50; i++)
            drop(make(random, i % 2 ? ALIKE : MOST));
        malloc_trim(0);
        _exit(broken != 0 || myalloc_check_heap() != 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void) {
    pthread_t threads[THREADS];
    uint64_t random = 5;
    unsigned bad_forks = 0, bad_walks = 0, bad_counts = 0;
    tap_watchdog(300);
    struct mallinfo2 before = mallinfo2();
    for (uintptr_t i = 0; i < THREADS; i++) {
        running++;
        if (pthread_create(&threads[i], NULL, trade, (void *)i) != 0)
            return 1;
    }
    for (int i = 0; i < FORKS || running > 0; i++) {
        bad_forks += i < FORKS && !fork_and_look(&random);
        bad_walks += myalloc_check_heap() != 0;
        for (int k = 0; k < 50; k++)
            bad_counts += mallinfo2().uordblks > (size_t)1 << 40;
        if (i % 4 == 3)
            malloc_trim(0);
        usleep(2000);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++)
        drop(atomic_exchange(&boxes[i], NULL));
    tap(broken == 0, "no block changed while it was in use");
    tap(bad_forks == 0, "children of forks have a heap that is whole, %u of %u have not", bad_forks, FORKS);
    tap(bad_walks == 0 && myalloc_check_heap() == 0, "the heap is whole at each look, %u times it was not", bad_walks);
    tap(bad_counts == 0, "what is counted meanwhile is less than a TiB, %u times it was not", bad_counts);
    struct mallinfo2 after = mallinfo2();
    tap(after.uordblks - before.uordblks < LEAST, "nothing is in use in the end: %zu and %zu bytes", before.uordblks, after.uordblks);
    malloc_trim(0);
    tap(mallinfo2().uordblks == after.uordblks, "nor after a trim");
    return tap_done();
}
