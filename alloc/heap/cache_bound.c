/* SPDX-License-Identifier: MIT */
#include "heap/cache_bound.h"

#include "kit/report.h"
#include "heap/mark.h"
#include "heap/central.h"
#include "heap/cache_large.h"

#define GRANT_PART 8 /* a list is granted at most this part of the thread's bytes, so that eight sizes at least have one */

void cache_bound_empty(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = bin_of(cache, c);
        size_t held;
        void *list = bin_take(bin, &held), *spare = bin_take_spare(cache, c); /* a spare from before the bound was set */
        bin_put(bin, NULL, 0, 0);
        ORDERED();
        if (list != NULL)
            central_give_home(c, list);
        if (spare != NULL)
            central_give_home(c, spare);
    }
    large_end(&cache->slow->large);
    cache->slow->ungranted = cache->slow->bound = tunables.cache_limit;
    cache->bounded = true;
}

/* Blocks that a list of the class is granted if so much is left to grant. */
static size_t wanted_blocks(unsigned class) {
    size_t size = class_bytes(class);
    if (size > tunables.tcache_max)
        return 0;
    size_t share = max_size(tunables.cache_limit / GRANT_PART / size, 1);
    return min_size(min_size(class_batch(class), tunables.tcache_count), share);
}

/* How many blocks the list may hold: what it was granted before, or a new grant. 0 if nothing is left. */
static size_t grant(struct cache *cache, unsigned class) {
    const struct bin *bin = bin_of(cache, class);
    size_t size = class_bytes(class), blocks = wanted_blocks(class);
    if (!cache->bounded || cache->slow->bound != tunables.cache_limit)
        cache_bound_empty(cache);
    if (bin->limit > 0)
        return bin->limit;
    if (blocks * size > cache->slow->ungranted)
        cache_bound_empty(cache);
    blocks = min_size(blocks, cache->slow->ungranted / size);
    cache->slow->ungranted -= blocks * size;
    return blocks;
}

void cache_bound_now(void) {
    if (cache_self.state != CACHE_OPEN)
        return;
    report_enter();
    cache_bound_empty(&cache_self);
    report_leave();
}

void *cache_bound_refill_slow(struct cache *cache, unsigned class) {
    size_t limit = grant(cache, class), count;
    if (limit == 0)
        return central_take_single(class);
    struct bin *bin = bin_of(cache, class);
    struct block *chain = bin_take(bin, &count);
    if (UNLIKELY(chain != NULL)) { /* a signal handler has freed meanwhile */
        bin_put(bin, chain->next, max_size(count, 1) - 1, limit);
        return chain;
    }
    chain = central_take(class, min_size(bin->refill_most, limit), &count);
    if (chain == NULL) {
        bin_put(bin, NULL, 0, limit);
        return NULL;
    }
    struct block *last = chain;
    size_t kept = 0; /* beside the block that is returned; the rest of a long chain goes home */
    for (; kept < limit && last->next != NULL; kept++, last = last->next)
        mark_check_link(last, last->next, class);
    if (last->next != NULL)
        central_give_home(class, last->next);
    last->next = NULL;
    ORDERED();
    bin_put(bin, chain->next, kept, limit);
    return chain;
}

void cache_bound_overflow_slow(struct cache *cache, struct block *block, unsigned class) {
    struct bin *bin = bin_of(cache, class);
    size_t limit = grant(cache, class), held;
    block->next = NULL;
    if (limit == 0) {
        bin->count = 0; /* K1: the free had raised it */
        central_give_home(class, block);
        return;
    }
    /* Either the list is empty and has just been granted, or it is full; the count is raised for `block` already. */
    void *full = bin_take(bin, &held);
    ORDERED();
    if (full != NULL)
        central_give(class, full, max_size(held, 2) - 1);
    ORDERED();
    bin_put(bin, block, 1, limit);
}
