/* SPDX-License-Identifier: MIT */
/* A fully static C program on libmyalloc.a: its malloc is ours, and threads and fork work. */
#include <malloc.h>
#include <pthread.h>

#include "tap.h"

static void *churn(void *data) {
    for (size_t i = 0; i < 100000; i++) {
        char *p = malloc(i % 5000);
        if (i % 5000 > 0)
            *p = 1;
        free(p);
    }
    return data;
}

int main(void) {
    tap_watchdog(60);
    /* 100 bytes take a block of 112 here, 104 in glibc. */
    void *p = malloc(100);
    tap(malloc_usable_size(p) == 112, "the allocator is ours");
    free(p);
    pthread_t threads[4];
    int joined = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(20);
        churn(NULL);
        _exit(0);
    }
    tap(tap_child_passed(child), "a forked child allocates");
    for (int i = 0; i < 4; i++)
        joined += pthread_join(threads[i], NULL) == 0;
    tap(joined == 4, "threads allocate");
    tap(mallinfo2().arena > 0, "mallinfo2 answers");
    return tap_done();
}
