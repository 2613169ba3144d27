/* SPDX-License-Identifier: MIT */
/* Traffic of all sizes for a signal's handler to interrupt, and the timer that sends it. */
#ifndef TESTS_FORK_TRAFFIC_H
#define TESTS_FORK_TRAFFIC_H

#include <sys/time.h>

#include "tap.h"

enum { BLOCKS = 1009 };

static void *volatile blocks[BLOCKS];

static void traffic(uint64_t *seed) {
    size_t at = tap_random(seed) % BLOCKS, bytes = tap_random(seed) % (tap_random(seed) % 7 ? 600 : 70000);
    void *old = blocks[at];
    blocks[at] = NULL;
    if (bytes % 5 == 0) {
        blocks[at] = realloc(old, bytes + 1);
        return;
    }
    free(old);
    blocks[at] = malloc(bytes);
}

static void every(long us, long first) {
    struct itimerval interval = {{0, us}, {0, first}};
    setitimer(ITIMER_VIRTUAL, &interval, NULL);
}

#endif
