/* SPDX-License-Identifier: MIT */
#include "process/all_locks.h"

#include "kit/lock.h"
#include "kit/random.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/mapped.h"
#include "heap/mode_switch.h"
#include "heap/region.h"
#include "heap/span.h"
#include "callers/stacks.h"
#include "protect/check.h"
#include "protect/guarded.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_slab.h"
#include "observe/leaks.h"
#include "observe/trace.h"

/* Ascending ranks. random_locks has no lock, but must be forked before those who draw numbers in the child; trace_locks
 * switches a mode when forked, which uses what stands before it. */
static const struct lock_set *const sets[] = {
    &random_locks, &mode_switch_locks,      &check_locks,   &cache_locks,  &central_locks, &span_locks,  &mapped_locks,
    &range_locks,  &hardened_mapped_locks, &guarded_locks, &region_locks, &stacks_locks,  &leaks_locks, &trace_locks,
};
#define SETS (sizeof sets / sizeof *sets)

/* True if the set may follow those taken before it, none of whose ranks is above `most`. */
static bool is_in_order(const struct lock_set *set, enum lock_rank most) {
    return (set->lock == NULL && set->further == NULL) || set->rank >= most;
}

void all_locks_acquire(void) {
    enum lock_rank most = LOCK_MODES;
    for (size_t i = 0; i < SETS; i++) {
        ASSERT(is_in_order(sets[i], most));
        lock_set_acquire(sets[i]);
        most = sets[i]->rank != LOCK_NONE ? sets[i]->rank : most;
    }
    lock_fork_begin();
}

void all_locks_release(void) {
    lock_fork_end();
    for (size_t i = SETS; i > 0; i--)
        lock_set_release(sets[i - 1]);
}

void all_locks_reset(void) {
    for (size_t i = 0; i < SETS; i++)
        if (sets[i]->forked != NULL)
            sets[i]->forked();
    for (size_t i = 0; i < SETS; i++)
        lock_set_reset(sets[i]);
    lock_fork_end();
}
