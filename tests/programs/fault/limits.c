/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Takes memory until it is refused, gives it back, and must get it again; with argument `lower` it first lowers its own
 * RLIMIT_AS to that many MiB, after the allocator has started. Exit status 0 if all was right. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tap.h"

enum { MOST = 4000000 };
static void **blocks;

static int take(int most, size_t bytes) {
    int count = 0;
    errno = 0;
    while (count < most && (blocks[count] = malloc(bytes)) != NULL)
        memset(blocks[count++], 1, bytes);
    return count;
}

static int give(int count) {
    for (int i = 0; i < count; i++)
        free(blocks[i]);
    return count;
}

/* How many blocks there were the first time. */
static int cycle_first;

static int cycle(size_t bytes) {
    int most = (int)(((size_t)3 << 30) / bytes);
    most = most < MOST ? most : MOST;
    int first = take(most, bytes), refused = errno == ENOMEM;
    give(first);
    int second = take(most, bytes);
    give(second);
    cycle_first = first;
    printf("%zu bytes: %d, then %d blocks%s\n", bytes, first, second, refused ? ", refused with ENOMEM" : "");
    if (!refused && first < most)
        return 1;
    return second < first - first / 4 - 2 || first == 0;
}

int main(int argc, char **argv) {
    tap_alarm(100);
    static void *store[MOST];
    blocks = store;
    free(malloc(100));
    if (argc > 2 && strcmp(argv[1], "lower") == 0) {
        struct rlimit limit = {(rlim_t)atol(argv[2]) << 20, RLIM_INFINITY};
        if (setrlimit(RLIMIT_AS, &limit) != 0)
            return 2;
    }
    int wrong = cycle(1000), first = cycle_first;
    wrong = wrong || cycle(24) || cycle(5000) || cycle(50000) || cycle(1000000) || cycle(1000);
    return wrong || cycle_first < first - first / 4 - 2; /* what other sizes took has come back */
}
