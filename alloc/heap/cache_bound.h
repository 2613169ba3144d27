/* SPDX-License-Identifier: MIT */
/*
 * The slow paths of a cache whose memory the user bounds (cache_limit, tcache_count, tcache_max). What a list may hold is
 * granted when the list is first used, out of the thread's cache_limit bytes; so the sum of what all lists hold is never
 * above that, at any instant. When a list wants more than is left to grant, all lists go home and all grants are taken back.
 * A list without a grant has limit 0 and count 0 (K1): every operation on it is slow. There are no spare chains.
 *
 * On the calling thread's own cache, between report_enter and report_leave, but for cache_bound_now. Takes LOCK_CLASS inside.
 */
#ifndef MYALLOC_CACHE_BOUND_H
#define MYALLOC_CACHE_BOUND_H

#include "kit/tunables.h"
#include "heap/bins.h"

/* Whether a bound applies to this cache: one is set, or was while the cache was in use. All tunables are SIZE_MAX without. */
static inline bool cache_bound_applies(const struct cache *cache) {
    return cache->bounded || (tunables.cache_limit & tunables.tcache_count & tunables.tcache_max) != SIZE_MAX;
}

/* As cache_refill_slow and cache_overflow_slow do without a bound (cache.h). */
void *cache_bound_refill_slow(struct cache *cache, unsigned class);
void cache_bound_overflow_slow(struct cache *cache, struct block *block, unsigned class);

/* Sends all lists of the cache home and takes all grants back. */
void cache_bound_empty(struct cache *cache);

/* A bound has been set at run time: this thread's lists obey at once, others' at their next slow path. */
void cache_bound_now(void);

#endif
