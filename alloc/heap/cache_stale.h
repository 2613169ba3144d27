/* SPDX-License-Identifier: MIT */
/*
 * Stale lists: those of blocks above a KiB that a thread no longer uses. Such a list has one to eight blocks, and each of them
 * may hold a span of 16 to 128 KiB in which nothing else is in use. So a thread that comes by (cache.h) looks at some of its
 * lists, the next ones in turn, and what is as it was at the last look, the same first block before as many others, goes home.
 * A list that is used may look so, too; it is filled again, at the cost of a refill for each turn of looks.
 */
#ifndef MYALLOC_CACHE_STALE_H
#define MYALLOC_CACHE_STALE_H

#include "heap/bins.h"

/* Looks at the next lists of the cache, which is OPEN, unbounded and this thread's. Caller holds no lock. */
void stale_look(struct cache *cache);

#endif
