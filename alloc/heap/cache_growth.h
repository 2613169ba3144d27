/* SPDX-License-Identifier: MIT */
/*
 * How long a thread's lists may be. A list starts short, so that a program of few blocks touches few pages, and its class
 * earns a longer one by filling it again and again. What all classes have earned together is bounded by a part of the
 * memory that the process has in small blocks, shared out among the threads; a class that wants more than is left takes it
 * from one that has earned before.
 *
 * A *window* is a list of more than a batch. A class has one if its blocks go to the central lists and come back again and
 * again: a program that takes a hundred blocks and frees them, in turn, would send each over and have it fetched. What windows
 * may have in all is bounded apart. They are given up whenever small blocks need more memory than ever before, so that a peak
 * finds nothing in them that it could use; and when they are stale (cache_stale.h).
 *
 * Three numbers bound a list, and each has one meaning: `limit` is what the list may hold now, which free tests;
 * `earned_limit` is what `limit` is set to when the list is next begun; class_batch is the most that it can earn without a
 * window.
 *
 * Works on the calling thread's own cache, between report_enter and report_leave. Gives chains to the central lists, and so
 * takes LOCK_CLASS inside.
 */
#ifndef MYALLOC_CACHE_GROWTH_H
#define MYALLOC_CACHE_GROWTH_H

#include "base/sizeclass.h"
#include "heap/span_types.h"
#include "heap/bins.h"

/* A class of blocks above a KiB is cold until its list was full eight times; meanwhile its freed blocks go home at once. Most
 * programs, at their start, free a few blocks of each of many sizes: lists would keep one of each, and its page. Measured on
 * replayed starts of python3, perl and gawk together with lent blocks: alloc/heap/README.md, "Small programs". */
#define COLD_BYTES 1024
#define TIMES_FULL_WARM 8

/* The list of the class is full: whether the class is cold. Counts that. */
static inline bool growth_is_cold(struct cache *cache, unsigned class) {
    uint8_t *times = &cache->slow->times_full[class];
    if (*times >= TIMES_FULL_WARM || class_bytes(class) <= COLD_BYTES)
        return false;
    ++*times;
    return true;
}

/* The limit that a class starts with. */
size_t growth_first_limit(unsigned class);

/* Every class is as before its first use, with nothing earned. */
void growth_begin(struct cache *cache);

/* Nothing may stay on the lists from now on. They are empty (K1). */
void growth_end(struct cache *cache);

/* The list of the class was full: doubles earned_limit, if the thread may have so much. */
void growth_earn(struct cache *cache, unsigned class);

/* The list ran empty, and blocks of the class came from the central lists. Caller holds no lock. */
void growth_wanted_slow(struct cache *cache, unsigned class);
static inline void growth_wanted(struct cache *cache, unsigned class) {
    if (UNLIKELY(cache->slow->sent_away[class] || span_totals.small > cache->slow->small_seen))
        growth_wanted_slow(cache, class);
}

/* Whether the class's blocks go and come so often that it may have a window. */
#define SWINGS_LEAST 16
static inline bool growth_swings(const struct cache *cache, unsigned class) {
    return cache->slow->swings[class] >= SWINGS_LEAST;
}

/* The class has a window no more. What is on its list stays there. */
void growth_end_window(struct cache *cache, unsigned class);

/* Most of the class is at home: it loses what it has earned, and its spare chain goes to the central lists. */
void growth_fall(struct cache *cache, unsigned class);

/* The list has run empty and was filled: the next time twice as much is asked for, but at most a page's blocks, so that
 * a thread does not touch the next page before it has used this one. */
static inline void growth_refilled(struct bin *bin, unsigned class) {
    size_t most = min_size(class_batch(class), max_size(OS_PAGE / class_bytes(class), 1));
    bin->refill_most = (uint16_t)min_size(bin->refill_most * 2u, most);
}

/* The most bytes that a spare chain of this thread may have. */
size_t growth_spare_most(void);

/* Gives the spare chain of the class, if there is one, to the central lists. */
void growth_give_spare(struct cache *cache, unsigned class);

/* Whether K4 holds. */
bool growth_is_counted(const struct cache *cache);

#endif
