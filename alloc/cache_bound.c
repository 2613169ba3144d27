/* SPDX-License-Identifier: MIT */
/*
 * The slow paths of a cache whose memory is bounded (cache_limit, tcache_count, tcache_max). What a list may hold is
 * granted when the list is first used, out of the thread's cache_limit; so the sum of what all lists hold can at no
 * instant exceed it. When nothing is left to grant, all lists go to the centre and all grants are taken back. A list
 * without a grant has limit 0 and count 0, as in a cache that is not open: every operation on it is slow.
 */
#include "cache.h"
#include "central.h"
#include "freelist.h"
#include "tunables.h"

#define SHARE 8 /* a list gets at most this part of the thread's bytes, so that several sizes have one */

static void take_back_all(struct cache *cache) {
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        struct bin *bin = &cache->bins[c];
        void *list = bin->head, *spare = cache->spare[c];
        bin->head = NULL;
        bin->count = bin->limit = 0;
        cache->spare[c] = NULL;
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

/* True if the list may hold a block at all. */
static bool grant(struct cache *cache, unsigned class) {
    struct bin *bin = &cache->bins[class];
    size_t size = class_bytes(class), blocks = wanted_blocks(class);
    if (!cache->bounded || cache->bound != tunables.cache_limit)
        take_back_all(cache);
    if (bin->limit > 0)
        return true;
    if (blocks * size > cache->room)
        take_back_all(cache);
    blocks = min_size(blocks, cache->room / size);
    cache->room -= blocks * size;
    bin->limit = (uint16_t)blocks;
    bin->count = -(int32_t)blocks;
    return blocks > 0;
}

void cache_bound_now(void) {
    if (cache_self.open)
        take_back_all(&cache_self);
}

void *cache_bound_refill_slow(struct cache *cache, unsigned class) {
    if (!grant(cache, class))
        return central_take_single(class);
    struct bin *bin = &cache->bins[class];
    size_t count;
    struct block *chain = central_take(class, min_size(bin->want, bin->limit), &count), *last = chain;
    if (chain == NULL)
        return NULL;
    size_t kept = 0; /* beside the one that is returned */
    for (; kept < bin->limit && last->next != NULL; kept++)
        last = last->next;
    if (last->next != NULL)
        central_give_home(class, last->next);
    last->next = NULL;
    bin->head = chain->next;
    bin->count = (int32_t)kept - bin->limit;
    return chain;
}

void cache_bound_overflow_slow(struct cache *cache, struct block *block, unsigned class) {
    struct bin *bin = &cache->bins[class];
    block->next = NULL;
    if (!grant(cache, class)) {
        bin->count = 0; /* the free had raised it */
        central_give_home(class, block);
        return;
    }
    /* Empty and just granted, or full but for this block, for which the count has been raised already. */
    if (bin->head != NULL) {
        void *full = bin->head;
        bin->head = NULL;
        central_give(class, full, (size_t)(bin->count + bin->limit - 1));
    }
    bin->head = block;
    bin->count = 1 - bin->limit;
}
