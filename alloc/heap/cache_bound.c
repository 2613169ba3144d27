/* SPDX-License-Identifier: MIT */
/*
 * The slow paths of a cache whose memory is bounded (cache_limit, tcache_count, tcache_max). What a list may hold is
 * granted when the list is first used, out of the thread's cache_limit; so the sum of what all lists hold can at no
 * instant exceed it. When nothing is left to grant, all lists go to the centre and all grants are taken back. A list
 * without a grant has limit 0 and count 0, as in a cache that is not open: every operation on it is slow.
 */
#include "heap/cache.h"

#include <stdatomic.h>

#include "base/freelist.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/central.h"

/* Lists are valid at every instruction, because fork copies them (cache.h). */
#define ORDERED() atomic_signal_fence(memory_order_seq_cst)

#define SHARE 8 /* a list gets at most this part of the thread's bytes, so that several sizes have one */

void cache_bound_empty(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = &cache->bins[c];
        size_t held;
        void *list = bin_take(bin, &held), *spare = cache->spare[c];
        bin_put(bin, NULL, 0, 0);
        cache->spare[c] = NULL;
        ORDERED();
        if (list != NULL)
            central_give_home(c, list);
        if (spare != NULL)
            central_give_home(c, spare);
    }
    cache->room = cache->bound = tunables.cache_limit;
    cache->bounded = true;
}

/* Blocks that a list of the class should hold if there is room for them. */
static size_t wanted_blocks(unsigned class) {
    size_t size = class_bytes(class);
    if (size > tunables.tcache_max)
        return 0;
    size_t share = max_size(tunables.cache_limit / SHARE / size, 1);
    return min_size(min_size(class_batch(class), tunables.tcache_count), share);
}

/* How many blocks the list may hold. */
static size_t grant(struct cache *cache, unsigned class) {
    const struct bin *bin = &cache->bins[class];
    size_t size = class_bytes(class), blocks = wanted_blocks(class);
    if (!cache->bounded || cache->bound != tunables.cache_limit)
        cache_bound_empty(cache);
    if (bin->limit > 0)
        return bin->limit;
    if (blocks * size > cache->room)
        cache_bound_empty(cache);
    blocks = min_size(blocks, cache->room / size);
    cache->room -= blocks * size;
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
    struct bin *bin = &cache->bins[class];
    struct block *chain = bin_take(bin, &count);
    if (UNLIKELY(chain != NULL)) { /* a signal handler's */
        bin_put(bin, chain->next, max_size(count, 1) - 1, limit);
        return chain;
    }
    chain = central_take(class, min_size(bin->want, limit), &count);
    if (chain == NULL) {
        bin_put(bin, NULL, 0, limit);
        return NULL;
    }
    struct block *last = chain;
    size_t kept = 0; /* beside the one that is returned */
    for (; kept < limit && last->next != NULL; kept++)
        last = last->next;
    if (last->next != NULL)
        central_give_home(class, last->next);
    last->next = NULL;
    ORDERED();
    bin_put(bin, chain->next, kept, limit);
    return chain;
}

void cache_bound_overflow_slow(struct cache *cache, struct block *block, unsigned class) {
    struct bin *bin = &cache->bins[class];
    size_t limit = grant(cache, class), held;
    block->next = NULL;
    if (limit == 0) {
        bin->count = 0; /* the free had raised it */
        central_give_home(class, block);
        return;
    }
    /* Empty and just granted, or full but for this block, for which the count has been raised already. */
    void *full = bin_take(bin, &held);
    ORDERED();
    if (full != NULL)
        central_give(class, full, max_size(held, 2) - 1);
    ORDERED();
    bin_put(bin, block, 1, limit);
}
