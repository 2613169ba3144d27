/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=120 */
/* A fork handler registered before the library's own runs while the fork holds all locks. It uses sizes that nobody used
 * before, and other threads use each at once, too: they must wait for the fork like for everything else. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

enum { THREADS = 3, FORKS = 103, MOST = 3000, BYTES = 4000000, LAST = 32000 };

static _Atomic size_t current;
static _Atomic bool stop;
static _Atomic unsigned broken;
static int handler_runs;

static void burst(unsigned char tag, size_t bytes) {
    static __thread unsigned char *blocks[MOST];
    size_t count = BYTES / bytes < MOST ? BYTES / bytes : MOST;
    for (size_t i = 0; i < count; i++)
        memset(blocks[i] = malloc(bytes), tag, bytes);
    for (size_t i = 0; i < count; i++) {
        broken += blocks[i][0] != tag || blocks[i][bytes - 1] != tag;
        free(blocks[i]);
    }
}

static void *follow(void *data) {
    for (size_t last = 0, bytes; !stop; last = bytes)
        if ((bytes = current) != last)
            burst((unsigned char)(uintptr_t)data, bytes);
    return NULL;
}

/* One size of each class after another. */
static void prepare(void) {
    static size_t bytes = 17;
    if (bytes > LAST)
        return;
    free(malloc(bytes));
    current = bytes;
    burst(THREADS + 1, bytes);
    bytes = bytes < 1024 ? bytes + 16 : bytes + bytes / 8 + 1;
    handler_runs++;
}

static void before_all(void) {
    pthread_atfork(prepare, NULL, NULL);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = before_all;

int main(void) {
    tap_watchdog(50);
    pthread_t ids[THREADS];
    int passed = 0;
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, follow, (void *)(i + 1));
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            tap_watchdog(20);
            free(malloc((size_t)i * 300 + 1));
            _exit(myalloc_check_heap() == 0 ? 0 : 1);
        }
        passed += tap_child_passed(child);
    }
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    tap(passed == FORKS, "%d of %d children have a sound heap", passed, FORKS);
    tap(handler_runs > 80 && broken == 0, "%d sizes used first in a fork handler: no block is held twice", handler_runs);
    tap(myalloc_check_heap() == 0, "all invariants hold");
    return tap_done();
}
