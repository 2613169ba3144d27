/* SPDX-License-Identifier: MIT */
/*
 * Blocks between threads. Each class has
 *  - slots: one cache line of whole chains in transit, put by a compare-and-swap into an empty slot and taken by an
 *    exchange. Nobody follows a link of a chain that is not theirs, so there is no ABA and memory may be unmapped at any
 *    time; and what may be parked is bounded by the number of slots.
 *  - under a short lock, once it has megabytes, a pile of more such chains, bounded by a part of that memory;
 *  - spans with blocks to give, under the same lock: what is not parked goes home to its span, as a bit, and a span whose
 *    blocks are all home goes back to the page heap.
 * Classes are set up in the order of their first use. A class that has nothing to give borrows single blocks of larger
 * ones before it takes a first span.
 * A stack of batches linked through their first blocks was the alternative: unbounded, reads memory it does not own, and
 * needs a tagged double-width compare-and-swap.
 *
 * C1 a parked chain has its length in its first block's second word.
 * C2 a span is on its class's list exactly if it is SMALL and has blocks at home or uncarved.
 * C3 span->live counts the blocks that are not at home: carved minus the bits that are set; a set bit is a carved block's.
 * C4 a borrowed block is aligned to the largest power of two in the size of the class that it was asked of.
 *
 * Locks: LOCK_CLASS, one a class; the span lock is taken under it. LOCK_PLACES while a class is used for the first time; fork
 * holds it, so that it knows all class locks there are.
 */
#ifndef MYALLOC_CENTRAL_H
#define MYALLOC_CENTRAL_H

#include "base/base.h"
#include "base/sizeclass.h"
#include "kit/lock.h"

/* How many threads keep lists. Where there is but one, nothing is parked that its own class's memory does not warrant. */
extern HIDDEN _Atomic size_t central_threads;

/* Takes a chain of blocks: at most `most` new ones, rounded up to whole cache lines, or as many as were parked together, or
 * at most a batch of what is at home in one span. A chain of one may be a block of a larger class, lent. NULL if memory is
 * refused. */
void *central_take(unsigned class, size_t most, size_t *count);

/* Takes one block from a span, for a thread that keeps no lists. NULL if memory is refused. */
void *central_take_single(unsigned class);

/* Gives a chain of `count` blocks back. */
void central_give(unsigned class, void *chain, size_t count);

/* Gives a chain of any length straight to the spans. */
void central_give_home(unsigned class, void *chain);

/* Sends all parked and adopted chains home. */
void central_flush(void);

/* After fork, in the child: a list that belonged to a thread which is gone. Its length is found by walking it, later. */
void central_adopt(unsigned class, void *chain);

/* Blocks of the class parked in transit; blocks at home or uncarved in spans; number of spans. */
struct central_totals {
    size_t parked, home, spans;
};
void central_count(unsigned class, struct central_totals *totals);

/* Looks whether C1-C3 hold. While nobody else is in the allocator (all_locks.h). */
struct walk;
void central_walk(struct walk *walk);

extern HIDDEN const struct lock_set central_locks;

#endif
