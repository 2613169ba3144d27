/* SPDX-License-Identifier: MIT */
#include "heap/transfer.h"

#include <stdatomic.h>

#include "heap/region.h"
#include "heap/span.h"

#define STACKS 32 /* for the first classes that grow so large; others go without: few programs have several such classes */

struct orphan {
    struct orphan *next;
    struct block *chain;
};

_Atomic size_t transfer_threads;
static struct chain_stack stacks[STACKS] BIG_TABLE;
static _Atomic size_t stacks_used;

/* ---- parked chains ----------------------------------------------------------------------------------------------- */

uint64_t transfer_lift(struct transfer *transfer, size_t at) {
    return atomic_exchange_explicit(&transfer->parked[at], 0, memory_order_acquire);
}

bool transfer_try_put_back(struct transfer *transfer, uint64_t chain, size_t at) {
    return transfer_park_among(transfer, chain, at + 1);
}

uint64_t transfer_unpark(struct transfer *transfer, size_t size, size_t most) {
    for (size_t i = PARKED_CHAINS; i-- > 0;) {
        uint64_t chain = atomic_load_explicit(&transfer->parked[i], memory_order_relaxed);
        if (chain_length(chain) * size * (i + 1) > most && (chain = transfer_lift(transfer, i)) != 0)
            return chain;
    }
    return 0;
}

/* ---- stacked chains ---------------------------------------------------------------------------------------------- */

void transfer_get_stack_slow(struct transfer *transfer) {
    size_t index = atomic_fetch_add_explicit(&stacks_used, 1, memory_order_relaxed);
    transfer->stack = index < STACKS ? &stacks[index] : NULL;
}

uint64_t transfer_stacked_locked(const struct transfer *transfer, size_t n) {
    const struct chain_stack *stack = transfer->stack;
    return stack != NULL && n < stack->count ? stack->chains[n] : 0;
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

struct block *transfer_take_orphan_slow(struct transfer *transfer) {
    struct orphan *orphan = transfer->orphans;
    transfer->orphans = orphan->next;
    return orphan->chain;
}

size_t transfer_count_orphans_locked(const struct transfer *transfer, unsigned class) {
    size_t blocks = 0;
    for (const struct orphan *orphan = transfer->orphans; orphan != NULL; orphan = orphan->next) {
        size_t length = span_chain_length(orphan->chain, class, UINT16_MAX);
        blocks += length != SIZE_MAX ? length : 0;
    }
    return blocks;
}

void transfer_each_orphan_locked(const struct transfer *transfer, void (*see)(const void *chain, size_t most, void *data),
                                 void *data) {
    for (const struct orphan *orphan = transfer->orphans; orphan != NULL; orphan = orphan->next)
        see(orphan->chain, UINT16_MAX, data);
}

bool transfer_orphans_lead_to_locked(const struct transfer *transfer, unsigned class, const void *block) {
    bool found = false;
    for (const struct orphan *orphan = transfer->orphans; orphan != NULL && !found; orphan = orphan->next)
        found = span_chain_leads_to(orphan->chain, class, block, false);
    return found;
}
