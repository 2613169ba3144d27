/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=120 */
/* Handlers of fork that are registered while another thread forks. libc holds a lock while it makes room in its list of
 * handlers, and fork() takes it after the allocator's own handler has run. A handler registered before the allocator's runs
 * between the two; there it lets a thread register so many handlers that the list must grow, several times, and waits for
 * it. */
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

int myalloc_check_heap(void);
#pragma weak myalloc_check_heap

enum { ROUNDS = 40, HANDLERS = 100, PATIENCE_MS = 100 };

static _Atomic int wanted, done, stop, children;
static bool in_time = true, armed;

static void count(void) {
    children++;
}

static void *keep_registering(void *unused) {
    while (!stop) {
        if (wanted == done) {
            usleep(100);
            continue;
        }
        for (int i = 0; i < HANDLERS; i++)
            pthread_atfork(NULL, NULL, count);
        done++;
    }
    return unused;
}

/* Before glibc 2.36 the list's lock is held while handlers run; then the thread waits for the fork, and this not for ever. */
static void prepare(void) {
    if (!armed)
        return;
    wanted++;
    for (int i = 0; i < PATIENCE_MS * 10 && done != wanted; i++)
        usleep(100);
    in_time = in_time && done == wanted;
}

static void before_all(void) {
    pthread_atfork(prepare, NULL, NULL);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = before_all;

int main(void) {
    tap_watchdog(50);
    pthread_t id;
    int passed = 0;
    pthread_create(&id, NULL, keep_registering, NULL);
    armed = true;
    for (int i = 0; i < ROUNDS; i++) {
        pid_t child = fork();
        if (child == 0) {
            free(malloc((size_t)i * 300 + 1));
            _exit(children == i * HANDLERS && (myalloc_check_heap == NULL || myalloc_check_heap() == 0) ? 0 : 1);
        }
        passed += tap_child_passed(child);
        while (done != wanted)
            usleep(100);
    }
    stop = true;
    pthread_join(id, NULL);
    tap(passed == ROUNDS, "%d of %d children ran the handlers of before, and have a sound heap", passed, ROUNDS);
    tap(done == ROUNDS, "%d handlers registered while forks were under way%s", done * HANDLERS, in_time ? "" : ", after them");
    tap(myalloc_check_heap == NULL || myalloc_check_heap() == 0, "all invariants hold");
    return tap_done();
}
