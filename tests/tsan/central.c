/* SPDX-License-Identifier: MIT */
/* The central lists under ThreadSanitizer: threads take chains, write to every block, and give them back by all ways. */
#include <pthread.h>

#include "central.h"
#include "freelist.h"
#include "tap.h"

enum { THREADS = 4, ROUNDS = 20000 };

static _Atomic size_t broken;

static void *trade(void *data) {
    uint64_t random = (uintptr_t)data * 31 + 5;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned class = (unsigned)(tap_random(&random) % 5 + 1);
        size_t count = 0;
        struct block *chain = central_take(class, tap_random(&random) % 30 + 1, &count);
        if (chain == NULL || freelist_length(chain) != count) {
            broken++;
            continue;
        }
        for (struct block *block = chain; block != NULL; block = block->next)
            block->count = (uintptr_t)data;
        for (struct block *block = chain; block != NULL; block = block->next)
            broken += block->count != (uintptr_t)data;
        if (tap_random(&random) % 8 == 0)
            central_give_home(class, chain);
        else
            central_give(class, chain, count);
        if (i % 1000 == 0) {
            struct central_totals totals;
            central_count(class, &totals);
        }
    }
    return NULL;
}

int main(void) {
    tap_watchdog(110);
    pthread_t ids[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, trade, (void *)(i + 1));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    tap(broken == 0, "%d threads trade chains of 5 classes: no block is held twice, no race", THREADS);
    central_flush();
    struct central_totals totals;
    size_t left = 0;
    for (unsigned class = 1; class <= 5; class++) {
        central_count(class, &totals);
        left += totals.spans;
    }
    tap(left == 0, "all blocks came home, all spans went back");
    return tap_done();
}
