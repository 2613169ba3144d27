/* SPDX-License-Identifier: MIT */
#include "process/all_locks.h"

#include "os/os.h"
#include "kit/environment.h"
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
#include "protect/hardened.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_slab.h"
#include "observe/leaks.h"
#include "observe/trace.h"

/* Ascending ranks. The first two have no lock; random_locks must know of the child before those who draw numbers in it, and
 * trace_locks switches a mode when forked, which uses what stands before it. */
static const struct lock_set *const sets[] = {
    &random_locks, &environment_locks, &mode_switch_locks,     &check_locks,   &cache_locks,
    &central_locks, &span_locks,       &mapped_locks,          &range_locks,   &hardened_mapped_locks,
    &hardened_locks, &guarded_locks,   &region_locks,          &stacks_locks,  &leaks_locks,
    &trace_locks,
};
#define SETS (sizeof sets / sizeof *sets)

/* True if the set may follow those taken before it, none of whose ranks is above `most`. */
static bool is_in_order(const struct lock_set *set, enum lock_rank most) {
    return (set->lock == NULL && set->further == NULL) || set->rank >= most;
}

/* How many rows lie before or are the last one of which this thread holds a lock. */
static size_t rows_held(void) {
    size_t rows = SETS;
    while (rows > 0 && !lock_set_is_mine(sets[rows - 1]))
        rows--;
    return rows;
}

bool all_locks_is_interrupted(void) {
    return rows_held() > 0;
}

/* The signals that were blocked before: while a thread takes all locks, holds them and lets them go, no handler comes that
 * forks, too. */
static uint64_t signals_before; /* of the thread that holds all locks */

void all_locks_acquire(void) {
    uint64_t before = os_signals_block();
    enum lock_rank most = LOCK_MODES;
    size_t held = rows_held();
    for (size_t i = 0; i < SETS; i++) {
        ASSERT(is_in_order(sets[i], most));
        lock_set_acquire(sets[i], i >= held);
        most = sets[i]->rank != LOCK_NONE ? sets[i]->rank : most;
    }
    signals_before = before;
    if (held == 0) /* else a handler that allocates comes into the middle of this thread's call, and is told */
        lock_fork_begin();
}

void all_locks_release(void) {
    uint64_t before = signals_before;
    lock_fork_end();
    for (size_t i = SETS; i > 0; i--)
        lock_set_release(sets[i - 1]);
    os_signals_restore(before);
}

static void tell_child(void) {
    for (size_t i = 0; i < SETS; i++)
        if (sets[i]->child != NULL)
            sets[i]->child();
}

static void tell_forked(void) {
    for (size_t i = 0; i < SETS; i++)
        if (sets[i]->forked != NULL)
            sets[i]->forked();
}

/* The call that the signal had interrupted has let go of its last lock. */
static void put_right_late(void) {
    all_locks_acquire();
    tell_forked();
    all_locks_release();
}

void all_locks_reset(void) {
    bool interrupted = all_locks_is_interrupted() && !lock_is_forking();
    tell_child();
    if (!interrupted)
        tell_forked();
    for (size_t i = 0; i < SETS; i++)
        lock_set_reset(sets[i], put_right_late);
    lock_fork_end();
    os_signals_restore(signals_before);
}

void all_locks_reset_alone(void) {
    tell_child();
    if (!all_locks_is_interrupted())
        tell_forked();
}
