/* SPDX-License-Identifier: MIT */
/* The central lists under ThreadSanitizer: threads take chains, write to every block, and give them back by all ways. */
#include <pthread.h>

#include "heap/central.h"
#include "base/freelist.h"
#include "heap/span.h"
#include "tap.h"

enum { THREADS = 4, ROUNDS = 20000, CLASSES = 5, HELD_BYTES = 4 << 20 };

static _Atomic size_t broken;

static size_t length(const struct block *chain) {
    size_t blocks = 0;
    for (; chain != NULL; chain = chain->next)
        blocks++;
    return blocks;
}

static void *trade(void *data) {
    uint64_t random = (uintptr_t)data * 31 + 5;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned class = (unsigned)(tap_random(&random) % CLASSES + 1);
        size_t count = 0;
        struct block *chain = central_take(class, tap_random(&random) % 30 + 1, &count);
        if (chain == NULL || length(chain) != count) {
            broken++;
            continue;
        }
        class = span_find(chain)->class; /* a single block may be one of a larger class */
        for (struct block *block = chain; block != NULL; block = block->next)
            block->mark = (uintptr_t)data;
        for (struct block *block = chain; block != NULL; block = block->next)
            broken += block->mark != (uintptr_t)data;
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

/* Memory enough in each class that chains pile up beyond the slots. */
static struct block *held[CLASSES + 1];

static void hold(void) {
    for (unsigned class = 1; class <= CLASSES; class++)
        for (size_t bytes = 0, count; bytes < HELD_BYTES; bytes += count * class_bytes(class)) {
            struct block *chain = central_take(class, class_batch(class), &count), *last = chain;
            while (last->next != NULL)
                last = last->next;
            last->next = held[class];
            held[class] = chain;
        }
}

int main(void) {
    tap_watchdog(110);
    hold();
    pthread_t ids[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, trade, (void *)(i + 1));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    tap(broken == 0, "%d threads trade chains of 5 classes: no block is held twice, no race", THREADS);
    struct central_totals totals;
    size_t left = 0;
    /* Some of what is held is given back: more chains than the slots take. */
    for (unsigned class = 1; class <= CLASSES; class++) {
        size_t batch = class_batch(class);
        for (size_t i = 0; i < 20; i++) {
            struct block *chain = held[class], *last = chain;
            for (size_t k = 1; k < batch; k++)
                last = last->next;
            held[class] = last->next;
            last->next = NULL;
            central_give(class, chain, batch);
        }
        central_count(class, &totals);
        left += totals.parked >= 12 * batch;
    }
    tap(left == CLASSES, "chains pile up in classes of %d bytes and more", HELD_BYTES);
    left = 0;
    for (unsigned class = 1; class <= CLASSES; class++)
        central_give_home(class, held[class]);
    central_flush();
    for (unsigned class = 1; class <= CLASSES; class++) {
        central_count(class, &totals);
        left += totals.spans;
    }
    tap(left == 0, "all blocks came home, all spans went back");
    return tap_done();
}
