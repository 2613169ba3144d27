/* SPDX-License-Identifier: MIT */
/*
 * So that a thread whose lists serve all its calls comes by (decay.h) while there is free memory to give back: each
 * PAUSE_EACH_MS all its lists are paused, at a slow call. The list of a paused class waits as the spare chain, and the class
 * may keep nothing (K1), so each of its calls is slow, and is served from that chain: it takes some 50 ns more than a fast one.
 * After PAUSE_CALLS of them the class goes on as before; so does each once there is nothing to give back. All are paused anew
 * at the first call of each class, so that a busy time which ends in calls of other classes leaves all lists paused.
 *
 * A class is paused as well when its list was full and most of what it had is free (central_is_emptied): such frees often are
 * the last ones of many, and what follows may only take and free a block in turn, which no list ever serves by a slow call. It
 * stays so by time and not by count: until the memory has gone back, or its calls have come faster than time pays for them.
 * Blocks that it wants meanwhile are taken from the central lists, and what is more than a list goes there. All that costs a
 * thread at most a two-hundredth of its time (CREDIT_A_MS).
 *
 * Who has been busy in all its classes up to the last call, with more than a twelfth of what there was in use, and is seldom
 * busy from then on without once finding a list empty or full, does not come by; nor who goes on with more than 200 calls a ms
 * that lists serve. Who calls nothing does not either.
 *
 * Works on the calling thread's own cache, between report_enter and report_leave.
 */
#ifndef MYALLOC_CACHE_PAUSE_H
#define MYALLOC_CACHE_PAUSE_H

#include "heap/bins.h"

#define PAUSE_EMPTIED UINT8_MAX /* instead of a count of calls: the class is paused because it was emptied */

static inline bool pause_is_on(const struct cache *cache, unsigned class) {
    return class < FAST_CLASSES && cache->slow->pause_left[class] != 0;
}

/* A call of a paused class, whose bin is shut and whose list is empty; it is open afterwards. The first: a block of the class,
 * or NULL if none waits; the class is paused no more then. The second: frees the block. */
struct block *pause_take_slow(struct cache *cache, struct bin *bin, unsigned class);
void pause_give_slow(struct cache *cache, struct bin *bin, struct block *block, unsigned class);

/* For a thread that comes by at `now`, ms: pauses all lists if that is due. The cache keeps lists without a bound. */
void pause_now_and_then(struct cache *cache, uint64_t now);

/* The class's list was full and a new one has begun: pauses the class if it is emptied and memory waits to be given back. */
void pause_emptied(struct cache *cache, unsigned class);

#endif
