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
 * X1 a parked or stacked chain has the length that is told beside its address (freelist.h).
 * X2 the pointer parked[i] holds only chains of which i + 1 could be parked when they were. So chains of one length have
 *    together at most the bytes that the class may park; and chains of all lengths at most 2.72 times as many: parked[i]
 *    holds at most 1 / (i + 1) of those bytes, and 1 + 1/2 + 1/3 + ... + 1/8 = 2.72.
 *
 * Parking and taking are inline, because every chain passes here: as calls they, home_take and growth_refilled took 4.6 % more
 * instructions of a load where one thread fills and another drains blocks of up to 3000 bytes.
 *
 * Lock: functions that end in _locked are called under the lock of the class (central.h). The others take none.
 *
 * Rejected: a stack of chains linked through their first blocks. It has no bound, reads memory that it does not own, and needs
 * a tagged double-width compare-and-swap.
 */
#ifndef MYALLOC_TRANSFER_H
#define MYALLOC_TRANSFER_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/freelist.h"
#include "kit/report.h"

#define PARKED_CHAINS (CACHE_LINE / sizeof(uint64_t))

/* Chains of a class that has much out are stacked, up to a thirty-second of it (3 % of memory at the most): sending a chain
 * home means walking it, and its blocks lie anywhere. Chains handed over whole and stacks together took `trees` from 1.49 to
 * 1.08 of the fastest allocator's time at the same peak of memory. A class has a stack once that may hold more chains than can
 * be parked: a chain has at most 8 KiB, so from 9 * 32 * 8 KiB = 2.25 MiB on. */
#define STACK_PART 32
#define STACK_MOST 63 /* so that a stack takes 512 bytes, its count included */

struct chain_stack {
    size_t count;
    uint64_t chains[STACK_MOST];
};

struct transfer {
    _Atomic uint64_t parked[PARKED_CHAINS]; /* first: in a cache line of their own */
    struct chain_stack *stack;             /* NULL until the class has memory enough for one */
    struct orphan *orphans;
};

/* Threads whose caches are open. Only where there are several a chain can be handed over. Written under LOCK_CACHES. */
extern HIDDEN _Atomic size_t transfer_threads;

/* The bytes that a class may park. Where there are several threads, 64 KiB: on `pipeline`, whose one thread allocates what the
 * other frees, 8, 16, 32 and 64 KiB made 24.7, 18.0, 11.5 and 1.4 locks per 1000 operations, at the same memory. Where there is
 * one thread nobody waits for a chain; it is parked so that it need not be walked, up to a sixteenth of what the class has out:
 * without that bound cc1plus took 3 % more memory, and smaller bounds gained nothing. So it is with blocks of more than 4 KiB
 * for several threads, too: a lock costs little beside the use of such a block. */
#define PARK_MOST (64 * KIB)
#define PARK_PART 16
#define PARK_WIDE_UPTO 4096

/* Parks a chain in one of the first `usable` pointers; release order makes what was written to the chain visible to its taker.
 * False if none of them is free. */
static inline bool transfer_park_among(struct transfer *transfer, uint64_t chain, size_t usable) {
    for (size_t i = 0; i < usable && i < PARKED_CHAINS; i++) {
        uint64_t empty = 0;
        if (atomic_load_explicit(&transfer->parked[i], memory_order_relaxed) != 0)
            continue;
        COUNT(COUNT_RMWS);
        if (atomic_compare_exchange_strong_explicit(&transfer->parked[i], &empty, chain, memory_order_release,
                                                    memory_order_relaxed))
            return true;
    }
    return false;
}

/* Parks a chain of `count` blocks, where the class may park `most` chains of that length. False if the chain is longer than
 * that (most is 0), or there is no pointer free for it. */
static inline bool transfer_try_park(struct transfer *transfer, struct block *chain, size_t count, size_t most) {
    return transfer_park_among(transfer, chain_of(chain, count), most); /* X2 */
}

/* Takes a parked chain, its length in *count. NULL if there is none. */
static inline struct block *transfer_take(struct transfer *transfer, size_t *count) {
    for (size_t i = 0; i < PARKED_CHAINS; i++) {
        if (atomic_load_explicit(&transfer->parked[i], memory_order_relaxed) == 0)
            continue;
        COUNT(COUNT_RMWS);
        uint64_t chain = atomic_exchange_explicit(&transfer->parked[i], 0, memory_order_acquire);
        if (chain != 0) {
            *count = chain_length(chain);
            return chain_first(chain);
        }
    }
    return NULL;
}

/* Reports a double free if the chain is parked: a block that was parked alone and is freed again comes back as the same chain,
 * and is not known by its mark (mark.h) if the program has written to it meanwhile. The caller does not hold the lock of the
 * class. */
static inline void transfer_refuse_parked_twice(struct transfer *transfer, const void *chain) {
    for (size_t i = 0; i < PARKED_CHAINS; i++)
        if (UNLIKELY(atomic_load_explicit(&transfer->parked[i], memory_order_relaxed) << (64 - LENGTH_SHIFT) ==
                     (uint64_t)(uintptr_t)chain << (64 - LENGTH_SHIFT)))
            report_misuse("free", chain, DOUBLE_FREE);
}

/* To look at a parked chain: takes it out of parked[at], and puts it back there or before; 0 if there is none, false if
 * another has taken its room. Nobody else can have the chain meanwhile, or its memory be unmapped. */
uint64_t transfer_lift(struct transfer *transfer, size_t at);
bool transfer_try_put_back(struct transfer *transfer, uint64_t chain, size_t at);

/* Takes a parked chain that could not be parked where it is if chains of one length may have `most` bytes together; 0 if there
 * is none. A chain that stays while its class shrinks holds a span for each of its blocks. */
uint64_t transfer_unpark(struct transfer *transfer, size_t size, size_t most);

/* How many chains of a batch may be stacked: a part of what the class has out. */
static inline size_t transfer_stack_most(size_t out, size_t batch_bytes) {
    return min_size(out / STACK_PART / batch_bytes, STACK_MOST);
}

/* Gives the class an empty stack, if there is one left. */
COLD void transfer_get_stack_slow(struct transfer *transfer);

/* Puts a chain of `count` blocks on the stack, which may have `most`. False if it has as many, or there is no stack. */
static inline bool transfer_try_stack_locked(struct transfer *transfer, struct block *chain, size_t count, size_t most) {
    if (UNLIKELY(transfer->stack == NULL && most > PARKED_CHAINS))
        transfer_get_stack_slow(transfer);
    struct chain_stack *stack = transfer->stack;
    if (stack == NULL || stack->count >= most)
        return false;
    stack->chains[stack->count++] = chain_of(chain, count);
    return true;
}

/* Takes the chain that was stacked last, if there are more than `more_than`. 0 otherwise. */
static inline uint64_t transfer_unstack_locked(struct transfer *transfer, size_t more_than) {
    struct chain_stack *stack = transfer->stack;
    return stack != NULL && stack->count > more_than ? stack->chains[--stack->count] : 0;
}

/* The nth stacked chain; 0 beyond the last. */
uint64_t transfer_stacked_locked(const struct transfer *transfer, size_t n);

/* In a forked child: a list of a thread that did not live on. Its length is not known. If memory for the entry is refused, its
 * blocks are lost to the child, as those of other threads' lists are with glibc's malloc. */
void transfer_adopt_locked(struct transfer *transfer, struct block *chain);

/* Takes an adopted list. NULL if there is none; _slow: there is one. */
COLD struct block *transfer_take_orphan_slow(struct transfer *transfer);
static inline struct block *transfer_take_orphan_locked(struct transfer *transfer) {
    return LIKELY(transfer->orphans == NULL) ? NULL : transfer_take_orphan_slow(transfer);
}

/* Blocks in all adopted lists, by walking them; those of a list that has been written over are not counted. */
size_t transfer_count_orphans_locked(const struct transfer *transfer, unsigned class);

/* Calls `see` with each adopted list and the most blocks that it may have. */
void transfer_each_orphan_locked(const struct transfer *transfer, void (*see)(const void *chain, size_t most, void *data),
                                 void *data);

/* True if the block is in an adopted list. */
bool transfer_orphans_lead_to_locked(const struct transfer *transfer, unsigned class, const void *block);

#endif
