/* SPDX-License-Identifier: MIT */
/*
 * The central free lists: for each size class its spans with blocks to give, behind the class's transfer cache (transfer.h).
 * Every block that is free and on no thread's list and in no transfer cache is at home in its span: as a bit (span_home), or
 * not cut from the span yet. A span whose blocks are all home goes back to the page heap.
 *
 * Blocks at home are bits, not a list through the blocks: what comes home twice or is no block is found there and then, blocks
 * are given out in address order, and no more of them are taken than are wanted. It costs 24 bytes in a span's structure, or
 * 128 bytes a unit beside it for blocks below 96 bytes (0.8 % of their memory). Rejected: to sort a list when it is taken; the
 * same time on `locality`, but 22 % more on `shuffled` and 18 % more on `fragments`.
 *
 * Classes are set up in the order of their first use. A class that has nothing to give borrows single blocks of larger ones
 * before it takes a first span. A class that threads of several processors use is split into shards (central_class.h); what
 * stands here of a class holds for each.
 *
 * C1 a span is on its class's list exactly if it is SMALL and has blocks at home or not yet cut, but for those that are apart:
 *    these are on the list of the class's held ones. in_class says of both, and of full ones, whose they are.
 * C2 span->live counts the blocks that are not at home: those cut minus the bits that are set. A set bit is a cut block's.
 * C3 a borrowed block is aligned to the largest power of two in the size of the class that it was asked of, as that class's own
 *    blocks are (class_of_aligned counts on it).
 * C4 a shard's `out` is the sum of live of its spans. Which shard has a span, span->shard says; it changes under the locks of
 *    both, so that whoever has looked without a lock looks again when he has it.
 *
 * Locks: LOCK_CLASS, one a shard, over its list of spans, the bits of these, and the locked part of its transfer cache; that of
 * another shard of the class is tried under it, as LOCK_SHARD. Spans are taken from the page heap and released without one.
 * LOCK_FIRST_USE while a class or a shard is used for the first time; fork holds it, so that it knows all class locks.
 */
#ifndef MYALLOC_CENTRAL_H
#define MYALLOC_CENTRAL_H

#include "base/base.h"
#include "base/sizeclass.h"
#include "kit/lock.h"

/* Takes a chain of blocks: one that was parked, whatever its length; or up to a batch of what is at home in one span; or at
 * most `most` new ones, rounded up to whole cache lines; or a single block of a larger class, lent; of the shard that this
 * thread uses now, or of another before memory is asked for. NULL if that is refused and no shard has any. */
void *central_take(unsigned class, size_t most, size_t *count);

/* Takes one block from a span, for a thread that keeps no lists. NULL if memory is refused. */
void *central_take_single(unsigned class);

/* Gives a chain of `count` blocks back: parked, stacked, or home. True if it went home and most of the shard is there: then
 * what the thread still has on its lists holds spans that are empty but for it. */
bool central_give(unsigned class, void *chain, size_t count);

/* True if no more than one in `part` of what the class had is out, as far as can be guessed without locks: of its spans, and of
 * its share of the free memory that has not gone back yet. What other processors' threads have is not looked at: it is theirs
 * to give back, and counting it would take their lines away. */
bool central_is_emptied(unsigned index, size_t part);

/* Gives a chain of any length straight to the spans. */
void central_give_home(unsigned class, void *chain);

/* Sends all parked, stacked and adopted chains home. */
void central_flush(void);

/* In a forked child, while it holds all locks: a list of a thread that did not live on. Its length is found when it is used. */
void central_adopt(unsigned class, void *chain);

/* Blocks of the class in its transfer cache; at home or not yet cut; of these, bytes in OS pages that have no memory, because
 * they were given back or never touched; and of the class's spans the number, the blocks that fit into them, and the bytes
 * behind the last of those. */
struct central_totals {
    size_t parked, home, returned, spans, blocks, tails;
};
void central_count(unsigned class, struct central_totals *totals);

/* Calls `see` with each chain in the class's transfer cache and each adopted list, and how many blocks are in it at the most,
 * under the lock of the class. */
void central_each_chain(unsigned class, void (*see)(const void *chain, size_t most, void *data), void *data);

/* True if the block is free and at home, or in the class's transfer cache, or adopted; or if there is none: its span was
 * released and is of the class again, cut elsewhere or not as far yet. Takes the lock of the class. */
bool central_holds(unsigned class, const void *block);

/* Looks whether X1, C1, C2, C4 and O1 (home.h) hold. While nobody else is in the allocator (all_locks.h). */
struct walk;
void central_walk(struct walk *walk);

extern HIDDEN const struct lock_set central_locks;

#endif
