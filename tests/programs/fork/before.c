/* SPDX-License-Identifier: MIT */
/* run: libs=so long_libs=so,debug timeout=600 */
/* Forks before any library's constructor has run, as another library's constructor may fork, from a program whose threads
 * allocate by then: the fork handlers must be there from the first use on. */
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

enum { THREADS = 3, FORKS = 300 };

static _Atomic bool stop;
static int sound;

static void *churn(void *data) {
    uint64_t random = (uintptr_t)data;
    void *blocks[100] = {0};
    while (!stop) {
        size_t i = tap_random(&random) % 100;
        free(blocks[i]);
        blocks[i] = malloc(tap_random(&random) % 4 ? 1100 + tap_random(&random) % 3000 : 40000); /* slow paths, mostly */
    }
    for (size_t i = 0; i < 100; i++)
        free(blocks[i]);
    return NULL;
}

static _Noreturn void child(void) {
    tap_watchdog(20);
    for (size_t i = 0; i < 500; i++)
        free(malloc(i * 17));
    free(malloc(300000));
    _exit(myalloc_check_heap() == 0 ? 0 : 1);
}

static void before_all(void) {
    pthread_t ids[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, churn, (void *)(i + 1));
    free(malloc(100));
    for (int i = 0; i < FORKS; i++) {
        pid_t id = fork();
        if (id == 0)
            child();
        sound += tap_child_passed(id);
    }
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = before_all;

int main(void) {
    tap_watchdog(60);
    tap(sound == FORKS, "%d of %d children of forks before the first constructor have a sound heap", sound, FORKS);
    tap(myalloc_check_heap() == 0, "all invariants hold");
    return tap_done();
}
