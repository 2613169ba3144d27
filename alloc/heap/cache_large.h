/* SPDX-License-Identifier: MIT */
/*
 * Large blocks that a thread keeps: those that it has freed last, for its next ones of about the same size, so that a buffer
 * which is taken and freed again and again costs neither a lock nor a search. What lists are for small blocks, some slots with
 * a span each are for large ones.
 *
 * A thread keeps blocks as long as that pays. It learns by each large block that it takes: whether the one that it had freed
 * before it is just as long, and, once it keeps some, whether one of them is. One that is a little longer serves, too, but says
 * nothing for it: a block that lives on would hold for good what it does not need. With blocks of all sizes next to none serves,
 * and what is kept is missing in the page heap.
 *
 * What a thread may keep, KEPT_MOST at the most, it is granted when it begins, out of what all may keep together; it gives it
 * back when it keeps nothing any more. What it has not taken from one turn of looks at stale lists to the next goes to the page
 * heap (cache_stale.h).
 *
 * K7 a slot is NULL or has a CACHED span, of which there is no other slot; `units` is the sum of their lengths, and no more than
 *    `most`. span_totals counts them as LARGE spans.
 *
 * In a forked child what other threads kept is freed. A span that one was putting into a slot, or taking out of it, stays
 * CACHED, and is lost to it.
 *
 * Works on a thread's own slots, but for what a forked child does. Caller holds no lock.
 */
#ifndef MYALLOC_CACHE_LARGE_H
#define MYALLOC_CACHE_LARGE_H

#include "heap/span_types.h"
#include "heap/bins.h"

#define KEPT_MOST 16 /* units: 256 KiB */

/* A LARGE span of `units` or up to a fourth more, which may hold anything; NULL if none is kept. */
struct span *large_take(struct large_slots *large, size_t units);

/* A span that was LARGE when it was found is freed, by a thread that may keep it. False if it is not kept; it may be LARGE no
 * more, too. */
bool large_keep(struct large_slots *large, struct span *span);

/* Whether a block that starts at `p` is free and kept, by any thread. */
bool large_is_kept(const void *p);

/* What was there at the last look, too, is freed. */
void large_look(struct large_slots *large);

/* All is freed. The second: and nothing is kept, until it has shown anew that it would serve. */
void large_flush(struct large_slots *large);
void large_end(struct large_slots *large);

/* Whether K7 holds. */
bool large_is_right(const struct large_slots *large);

/* How many spans are kept, at some moment. */
READS_OTHERS static inline size_t large_count(const struct large_slots *large) {
    size_t count = 0;
    for (int i = 0; i < LARGE_SLOTS; i++)
        count += large->spans[i] != NULL;
    return count;
}

/* In a forked child: frees what a thread kept that did not live on. All locks are held. Then, what has been granted is what this
 * thread may keep. */
void large_forked(struct large_slots *large);
void large_forked_alone(size_t most);

#endif
