/* SPDX-License-Identifier: MIT */
#include "heap/transfer.h"

#include <stdatomic.h>

#include "kit/report.h"
#include "heap/region.h"

/* Chains of a class with much memory are stacked, up to a thirty-second of it (3 % of memory at the most): sending a chain
 * home means walking it, and its blocks lie anywhere. Chains handed over whole and stacks together took `trees` from 1.49 to
 * 1.08 of the fastest allocator's time at the same peak of memory. A class has a stack once that may hold more chains than can
 * be parked: a chain has at most 8 KiB, so from 9 * 32 * 8 KiB = 2.25 MiB on. */
#define STACK_PART 32
#define STACK_MOST 63 /* so that a stack takes 512 bytes, its count included */
#define STACKS 32 /* for the first classes that grow so large; others go without: few programs have several such classes */

struct chain_stack {
    size_t count;
    struct block *chains[STACK_MOST];
};

struct orphan {
    struct orphan *next;
    struct block *chain;
};

_Atomic size_t transfer_threads;
static struct chain_stack stacks[STACKS] BIG_TABLE;
static _Atomic size_t stacks_used;

/* ---- parked chains ----------------------------------------------------------------------------------------------- */

/* Puts the chain into one of the first `usable` pointers; release order makes what was written to the chain visible to its
 * taker. */
static bool park_among(struct transfer *transfer, struct block *chain, size_t usable) {
    for (size_t i = 0; i < usable && i < PARKED_CHAINS; i++) {
        void *empty = NULL;
        if (atomic_load_explicit(&transfer->parked[i], memory_order_relaxed) != NULL)
            continue;
        COUNT(COUNT_RMWS);
        if (atomic_compare_exchange_strong_explicit(&transfer->parked[i], &empty, chain, memory_order_release,
                                                    memory_order_relaxed))
            return true;
    }
    return false;
}

bool transfer_try_park(struct transfer *transfer, struct block *chain, size_t count, size_t most) {
    chain->count = count;
    return park_among(transfer, chain, most); /* X2 */
}

struct block *transfer_take(struct transfer *transfer, size_t *count) {
    for (size_t i = 0; i < PARKED_CHAINS; i++) {
        if (atomic_load_explicit(&transfer->parked[i], memory_order_relaxed) == NULL)
            continue;
        COUNT(COUNT_RMWS);
        struct block *chain = atomic_exchange_explicit(&transfer->parked[i], NULL, memory_order_acquire);
        if (chain != NULL) {
            *count = chain->count;
            return chain;
        }
    }
    return NULL;
}

void transfer_refuse_parked_twice(struct transfer *transfer, const void *chain) {
    for (size_t i = 0; i < PARKED_CHAINS; i++)
        if (UNLIKELY(atomic_load_explicit(&transfer->parked[i], memory_order_relaxed) == chain))
            report_misuse("free", chain, DOUBLE_FREE);
}

struct block *transfer_lift(struct transfer *transfer, size_t at) {
    return atomic_exchange_explicit(&transfer->parked[at], NULL, memory_order_acquire);
}

bool transfer_try_put_back(struct transfer *transfer, struct block *chain, size_t at) {
    return park_among(transfer, chain, at + 1);
}

/* ---- stacked chains ---------------------------------------------------------------------------------------------- */

size_t transfer_stack_most(size_t memory, size_t batch_bytes) {
    return min_size(memory / STACK_PART / batch_bytes, STACK_MOST);
}

bool transfer_try_stack_locked(struct transfer *transfer, struct block *chain, size_t most) {
    if (transfer->stack == NULL && most > PARKED_CHAINS) {
        size_t index = atomic_fetch_add_explicit(&stacks_used, 1, memory_order_relaxed);
        transfer->stack = index < STACKS ? &stacks[index] : NULL;
    }
    if (transfer->stack == NULL || transfer->stack->count >= most)
        return false;
    transfer->stack->chains[transfer->stack->count++] = chain;
    return true;
}

struct block *transfer_unstack_locked(struct transfer *transfer, size_t more_than) {
    struct chain_stack *stack = transfer->stack;
    return stack != NULL && stack->count > more_than ? stack->chains[--stack->count] : NULL;
}

struct block *transfer_stacked_locked(const struct transfer *transfer, size_t n) {
    const struct chain_stack *stack = transfer->stack;
    return stack != NULL && n < stack->count ? stack->chains[n] : NULL;
}

/* ---- orphans ----------------------------------------------------------------------------------------------------- */

void transfer_adopt_locked(struct transfer *transfer, struct block *chain) {
    struct orphan *orphan = region_meta(sizeof *orphan);
    if (orphan == NULL)
        return;
    orphan->chain = chain;
    orphan->next = transfer->orphans;
    transfer->orphans = orphan;
}

struct block *transfer_take_orphan_locked(struct transfer *transfer) {
    struct orphan *orphan = transfer->orphans;
    if (orphan == NULL)
        return NULL;
    transfer->orphans = orphan->next;
    return orphan->chain;
}

size_t transfer_count_orphans_locked(const struct transfer *transfer) {
    size_t blocks = 0;
    for (const struct orphan *orphan = transfer->orphans; orphan != NULL; orphan = orphan->next)
        blocks += freelist_length(orphan->chain);
    return blocks;
}
