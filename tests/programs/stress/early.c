/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug,ubsan timeout=120 */
/* Threads that lived before any library's constructor ran, as another library's constructor may start them: what they
 * leave behind must not be looked for in their memory, which later threads get. */
#include <malloc.h>
#include <pthread.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

static int early_threads;

static void *life(void *data) {
    void *blocks[100];
    for (size_t i = 0; i < 100; i++)
        memset(blocks[i] = malloc(i * 20 + 1), 1, i * 20 + 1);
    for (size_t i = 0; i < 100; i++)
        free(blocks[i]);
    return data;
}

static int lives(int count) {
    int lived = 0;
    for (int i = 0; i < count; i++) {
        pthread_t id;
        lived += pthread_create(&id, NULL, life, NULL) == 0 && pthread_join(id, NULL) == 0;
    }
    return lived;
}

static void before_all(void) {
    early_threads = lives(3);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = before_all;

int main(void) {
    tap_watchdog(50);
    tap(early_threads == 3, "threads run before the first constructor");
    tap(lives(3) == 3, "and later in the same memory");
    size_t used = mallinfo2().uordblks;
    tap(used < 1 << 20, "the lists of all threads can be counted (%zu bytes used)", used);
    tap(myalloc_check_heap() == 0, "all invariants hold");
    return tap_done();
}
