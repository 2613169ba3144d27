/* SPDX-License-Identifier: MIT */
#include "callers/walker.h"

#include "kit/budget.h"
#include "kit/lock.h"
#include "callers/code.h"

#define WALKERS_SHIFT 7
#define WALKERS ((size_t)1 << WALKERS_SHIFT)
#define TABLE_BYTES align_up(WALKERS * sizeof(struct walker), OS_PAGE)

static _Atomic(void *) table; /* of struct walker */

/* Nothing is mapped for guarded blocks alone, whose calls are few. */
struct walker *walker_take(void) {
    struct walker *walkers = atomic_load_explicit(&table, memory_order_acquire);
    if (UNLIKELY(walkers == NULL))
        walkers = code_is_worth_keeping() ? budget_map_once(&table, TABLE_BYTES) : NULL;
    if (walkers == NULL)
        return NULL;
    const void *self = lock_self();
    struct walker *walker = &walkers[(uintptr_t)self * UINT64_C(0x9e3779b97f4a7c15) >> (64 - WALKERS_SHIFT)];
    if (atomic_exchange_explicit(&walker->taken, 1, memory_order_acquire) != 0)
        return NULL;
    if (UNLIKELY(walker->owner != self)) {
        walker->memory = (struct stack_memory){.next = 0};
        walker->memo.first = 0;
        walker->owner = self;
    }
    return walker;
}

void walker_let_go(struct walker *walker) {
    atomic_store_explicit(&walker->taken, 0, memory_order_release);
}

bool walker_covers(const void *p) {
    const char *walkers = (const char *)atomic_load_explicit(&table, memory_order_acquire);
    return walkers != NULL && (size_t)((const char *)p - walkers) < WALKERS * sizeof(struct walker);
}
