/* SPDX-License-Identifier: MIT */
/*
 * The transfer cache of a size class: chains of blocks on their way from a thread that frees to one that allocates, handed
 * over whole, so that nobody walks them. It has three parts:
 *  - parked chains: a cache line of eight pointers. A chain is parked by a compare-and-swap into an empty one and taken by an
 *    exchange. Nobody follows a link of a chain that is not theirs, so there is no ABA problem, and memory may be unmapped at
 *    any time.
 *  - stacked chains: a stack of more such chains under the lock of the class, for classes that have megabytes.
 *  - orphans: in a forked child, the lists of threads that did not live on.
 *
 * X1 a parked or stacked chain has its length in its first block's second word.
 * X2 the pointer parked[i] holds only chains of which i + 1 may be parked. So chains of one length have together at most the
 *    bytes that the class may park; and chains of all lengths at most 2.72 times as many: parked[i] holds at most 1 / (i + 1)
 *    of those bytes, and 1 + 1/2 + 1/3 + ... + 1/8 = 2.72.
 *
 * Lock: functions that end in _locked are called under the lock of the class (central.h). The others take none.
 *
 * Rejected: a stack of chains linked through their first blocks. It has no bound, reads memory that it does not own, and needs
 * a tagged double-width compare-and-swap.
 */
#ifndef MYALLOC_TRANSFER_H
#define MYALLOC_TRANSFER_H

#include "base/base.h"
#include "base/freelist.h"

#define PARKED_CHAINS (CACHE_LINE / sizeof(void *))

struct transfer {
    _Atomic(void *) parked[PARKED_CHAINS]; /* first: in a cache line of their own */
    struct chain_stack *stack;             /* NULL until the class has memory enough for one */
    struct orphan *orphans;
};

/* Threads whose caches are open. Only where there are several a chain can be handed over. Written under LOCK_CACHES. */
extern HIDDEN _Atomic size_t transfer_threads;

/* The bytes that a class may park. Where there are several threads, 64 KiB: on `pipeline`, whose one thread allocates what the
 * other frees, 8, 16, 32 and 64 KiB made 24.7, 18.0, 11.5 and 1.4 locks per 1000 operations, at the same memory. Where there is
 * one thread nobody waits for a chain; it is parked so that it need not be walked, up to a sixteenth of the class's memory:
 * without that bound cc1plus took 3 % more memory, and smaller bounds gained nothing. */
#define PARK_MOST (64 * KIB)
#define PARK_PART_ALONE 16

/* Parks a chain of `count` blocks, where the class may park `most` chains of that length. False if the chain is longer than
 * that (most is 0), or there is no pointer free for it. */
bool transfer_try_park(struct transfer *transfer, struct block *chain, size_t count, size_t most);

/* Takes a parked chain, its length in *count. NULL if there is none. */
struct block *transfer_take(struct transfer *transfer, size_t *count);

/* Reports a double free if the chain is parked: a block that was parked alone and is freed again comes back as the same chain.
 * The caller does not hold the lock of the class. */
void transfer_refuse_parked_twice(struct transfer *transfer, const void *chain);

/* To look at a parked chain: takes it out of parked[at], and puts it back there or before; NULL if there is none, false if
 * another has taken its room. Nobody else can have the chain meanwhile, or its memory be unmapped. */
struct block *transfer_lift(struct transfer *transfer, size_t at);
bool transfer_try_put_back(struct transfer *transfer, struct block *chain, size_t at);

/* How many chains of a batch may be stacked: a part of the class's memory. */
size_t transfer_stack_most(size_t memory, size_t batch_bytes);

/* Puts a chain with its length in it on the stack, which may have `most`. False if it has as many, or there is no stack. */
bool transfer_try_stack_locked(struct transfer *transfer, struct block *chain, size_t most);

/* Takes the chain that was stacked last, if there are more than `more_than`. NULL otherwise. */
struct block *transfer_unstack_locked(struct transfer *transfer, size_t more_than);

/* The nth stacked chain; NULL beyond the last. */
struct block *transfer_stacked_locked(const struct transfer *transfer, size_t n);

/* In a forked child: a list of a thread that did not live on. Its length is not known. If memory for the entry is refused, its
 * blocks are lost to the child, as those of other threads' lists are with glibc's malloc. */
void transfer_adopt_locked(struct transfer *transfer, struct block *chain);

/* Takes an adopted list. NULL if there is none. */
struct block *transfer_take_orphan_locked(struct transfer *transfer);

/* Blocks in all adopted lists, by walking them. */
size_t transfer_count_orphans_locked(const struct transfer *transfer);

#endif
