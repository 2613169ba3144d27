/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Nothing of the allocator's is a cancellation point, not while it logs, reports or tells its statistics: a thread with a
 * cancellation pending makes each call and comes back. Threads that are cancelled at random leave nothing locked.
 * kernel.test runs it with several options. */
#include "tap.h"
#include "work.h"

#include <mcheck.h>
#include <pthread.h>

static pthread_barrier_t gate;
static _Atomic int returned;

static void *one_of_each(void *bad) {
    char *volatile p = malloc(40);
    pthread_barrier_wait(&gate); /* a cancellation is pending from here on */
    work_blocks(7, 100);
    work_odd();
    malloc_stats();
    mallinfo2();
    if (bad != NULL) {
        p[40] = 1;
        free(p); /* told: memory clobbered past end */
        free(malloc(100));
    }
    returned = 1;
    pthread_testcancel();
    return NULL;
}

static void *on_and_on(void *unused) {
    unsigned seed = (unsigned)(uintptr_t)&unused;
    for (;;) {
        char *volatile p = malloc(100 + (seed = seed * 1103515245 + 12345) % 50000);
        p[0] = 1;
        free(p);
        pthread_testcancel();
    }
    return NULL;
}

int main(int count, char **arguments) {
    bool bad = count > 1 && strcmp(arguments[1], "bad") == 0;
    pthread_t threads[3];
    void *result;
    tap_watchdog(60);
    mtrace(); /* if MALLOC_TRACE says where */
    pthread_barrier_init(&gate, NULL, 2);
    pthread_create(&threads[0], NULL, one_of_each, bad ? &bad : NULL);
    pthread_cancel(threads[0]);
    pthread_barrier_wait(&gate);
    pthread_join(threads[0], &result);
    tap(returned && result == PTHREAD_CANCELED && work_wrong == NULL, "each call comes back (%s)",
        work_wrong ? work_wrong : "");
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 3; i++)
            pthread_create(&threads[i], NULL, on_and_on, NULL);
        usleep(300);
        for (int i = 0; i < 3; i++)
            pthread_cancel(threads[i]);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
    }
    work(3);
    tap(work_wrong == NULL, "the heap works on after 300 cancelled threads (%s)", work_wrong ? work_wrong : "");
    return tap_done();
}
