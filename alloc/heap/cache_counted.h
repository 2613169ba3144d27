/* SPDX-License-Identifier: MIT */
/*
 * Counted lists: a thread's lists while a sample of allocations is taken by their bytes, at no instruction on the fast paths.
 * Of a class, the bin holds only blocks that have been counted already: those that the next mallocs may take without coming
 * by. Its limit is 0 (K1), so every free is slow, and puts its block on the spare chain, which is not counted yet. A malloc
 * that finds its bin empty is slow, and takes the spare chain whole as long as there is no sample among as many allocations.
 * None of this takes a lock. Wide classes keep no lists meanwhile.
 *
 * How far a thread is from its next sample is drawn for each class by itself: the number of allocations until one has a sampled
 * byte. Samples of bytes, each as likely as any other, come in each class as if the others were not there, so that is the
 * same as one count over all; and as what is left of an exponential distribution is one, it may be drawn anew at any time. A
 * block counts with its class's size. All blocks without a list share one count, of bytes, and count with the size asked for;
 * 16 mean intervals and more are always taken, and stand for themselves.
 *
 * A thread's numbers depend on the seed and on how many threads came before it, and on no address. In the child of a fork they
 * are others, by its process number.
 *
 * Works on the calling thread's own cache, but for the plan. Takes LOCK_CLASS and LOCK_META inside.
 */
#ifndef MYALLOC_CACHE_COUNTED_H
#define MYALLOC_CACHE_COUNTED_H

#include "heap/bins.h"
#include "heap/mark.h"

/* How the weight of a sample is told: as many allocations as it stands for, in 65,536ths. */
#define COUNTED_ONE ((uint64_t)1 << 16)

/* True if this thread's lists are counted, and are to be. */
static ALWAYS_INLINE bool cache_is_counted(void) {
    return UNLIKELY(cache_self.lists == LISTS_COUNTED) &&
           atomic_load_explicit(&cache_lists_wanted, memory_order_relaxed) == LISTS_COUNTED;
}

/* From now on one byte in about `interval`, 1 or more, is sampled. Each thread draws anew at its next look. */
void cache_counted_plan(size_t interval, uint64_t seed);

/* Gives this thread what it counts with, drawn anew. False if memory is refused. Caller: the cache is OPEN. */
bool cache_counted_begin(void);

/* Counts an allocation that no list serves, of a class below FAST_CLASSES, or of `bytes` if the class is 0. Returns 0 if it is
 * no sample, else what it stands for: 1 / (1 - exp(-size / interval)). */
uint64_t cache_counted_due(unsigned class, size_t bytes);

/* A block of a class below FAST_CLASSES from this thread's lists. NULL if they have none, or if the allocation must come to
 * cache_counted_due. Caller: cache_is_counted. */
void *cache_counted_take(unsigned class);

/* How long the spare chain may get: as long as a plain list and the spare chain behind it. Half of it, and a program whose need
 * lies between has its blocks go home and come back at each turn: 480 instructions a pair of calls instead of 120. */
static ALWAYS_INLINE unsigned cache_counted_most(const struct cache_slow *slow, unsigned class) {
    return 2u * slow->earned_limit[class];
}

/* Puts a block of a class below FAST_CLASSES on this thread's lists; `raised`: its free has raised the bin's count. False if
 * there is no room: nothing has changed then. Caller: cache_is_counted. Every free comes here, so it is as open to the
 * handler of a signal that allocates as the fast paths are. */
static ALWAYS_INLINE bool cache_counted_give(void *p, unsigned class, bool raised) {
    struct cache_slow *slow = cache_self.slow;
    struct block *block = p, *chain = slow->spare[class];
    unsigned length = chain != NULL ? slow->spare_length[class] : 0;
    if (UNLIKELY(length + 1 >= cache_counted_most(slow, class)))
        return false;
    mark_set(block);
    block->next = chain;
    slow->spare_length[class] = (uint16_t)(length + 1);
    ORDERED();
    slow->spare[class] = block;
    cache_self.bins[class].count -= raised;
    return true;
}

/* What cache_refill_slow and cache_overflow_slow do while lists are not plain: counted, or off. */
void *cache_counted_refill(struct cache *cache, unsigned class);
void cache_counted_overflow(struct cache *cache, struct block *block, unsigned class);

/* In the child of a fork. */
void cache_counted_forked(void);

#endif
