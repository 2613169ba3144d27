/* SPDX-License-Identifier: MIT */
#include "process/all_locks.h"

#include "os/os.h"
#include "kit/environment.h"
#include "kit/lock.h"
#include "kit/random.h"
#include "heap/aside.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/decay.h"
#include "heap/holes.h"
#include "heap/mapped.h"
#include "heap/mode_switch.h"
#include "heap/region.h"
#include "heap/slab.h"
#include "heap/span.h"
#include "heap/span_shelf.h"
#include "callers/ways.h"
#include "callers/stacks.h"
#include "protect/check.h"
#include "protect/guarded.h"
#include "protect/hardened.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_slab.h"
#include "observe/leaks.h"
#include "observe/letters.h"
#include "observe/profile_snapshot.h"
#include "observe/profile_table.h"
#include "observe/trace.h"

/* Ascending ranks, behind those of modules that have no lock; random_locks must know of the child before those who draw numbers
 * in it, and trace_locks switches a mode when forked, which uses what stands before it. */
static const struct lock_set *const sets[] = {
    &random_locks,   &environment_locks, &ways_locks,   &decay_locks,  &holes_locks,  &letters_locks,
    &profile_snapshot_locks,
    &mode_switch_locks, &check_locks,
    &cache_locks,    &central_locks,     &slab_locks,   &shelf_locks,  &span_locks,   &mapped_locks, &range_locks,
    &hardened_mapped_locks,              &hardened_locks, &guarded_locks,  &region_locks, &stacks_locks,
    &leaks_locks,    &profile_locks,     &trace_locks,
};
#define SETS (sizeof sets / sizeof *sets)

/* True if the set may follow those taken before it, none of whose ranks is above `most`. */
static bool is_in_order(const struct lock_set *set, enum lock_rank most) {
    return (set->lock == NULL && set->further == NULL) || set->rank >= most;
}

/* True if one is missing. */
static bool acquire(bool (*gives_up)(void)) {
    enum lock_rank most = LOCK_MODES;
    bool missing = false;
    for (size_t i = 0; i < SETS; i++) {
        ASSERT(is_in_order(sets[i], most));
        missing = !lock_set_acquire(sets[i], gives_up) || missing;
        most = sets[i]->rank != LOCK_NONE ? sets[i]->rank : most;
    }
    return missing;
}

static void release(void) {
    for (size_t i = SETS; i > 0; i--)
        lock_set_release(sets[i - 1]);
}

/* Signals are blocked while a thread takes all locks, holds them and lets them go: no handler comes that forks, too. */
uint64_t all_locks_acquire(void) {
    uint64_t before = os_signals_block();
    acquire(NULL);
    lock_fork_begin();
    return before;
}

void all_locks_release(uint64_t signals_before) {
    lock_fork_end();
    release();
    os_signals_restore(signals_before);
}

AT_START bool all_locks_is_interrupted(void) {
    bool any = false;
    for (size_t i = 0; i < SETS && !any; i++)
        any = lock_set_is_mine(sets[i]);
    return any;
}

/* ---- fork --------------------------------------------------------------------------------------------------------- */

/* How long a fork waits for locks that others hold before it goes without. Sections take microseconds; one in which the kernel
 * reads pages back may take some hundred milliseconds. Who was interrupted knows that a circle is likely. */
#define PATIENCE_MS 2000
#define PATIENCE_INTERRUPTED_MS 100
#define PATIENCE_FOR_INTERRUPTED_MS 10 /* before it lets all go for one that was: nothing is lost by that */

/* Threads in fork that hold locks since a signal interrupted them. */
static _Atomic uint32_t interrupted_forks;

/* Of the one thread that is between all_locks_try_fork and the end of that. Atomic for checkers of races, which do not know
 * libc's lock that makes it the one. */
static struct {
    _Atomic uint64_t since; /* os_clock_ms */
    _Atomic uint64_t signals_before;
    _Atomic bool interrupted;
    _Atomic bool missing; /* goes without some lock */
} forking;

static bool has_waited(uint64_t ms) {
    return os_clock_ms() - forking.since >= ms;
}

/* Two that were interrupted go without each other's locks at once: if a handler's fork took longer than the time from one
 * signal to the next, neither would ever get on. */
static bool gives_up(void) {
    uint32_t forks = atomic_load(&interrupted_forks);
    if (forking.interrupted)
        return forks > 1 || has_waited(PATIENCE_INTERRUPTED_MS);
    return has_waited(forks != 0 ? PATIENCE_FOR_INTERRUPTED_MS : PATIENCE_MS);
}

void all_locks_fork_begins(void) {
    if (all_locks_is_interrupted())
        atomic_fetch_add(&interrupted_forks, 1);
}

void all_locks_fork_ends(void) {
    if (all_locks_is_interrupted() && atomic_fetch_sub(&interrupted_forks, 1) == 1)
        os_futex_wake(&interrupted_forks);
}

void all_locks_fork_waits(void) {
    if (all_locks_is_interrupted() || atomic_load(&interrupted_forks) == 0)
        return;
    for (uint32_t forks; (forks = atomic_load(&interrupted_forks)) != 0;)
        os_futex_wait(&interrupted_forks, forks);
    os_futex_wake(&interrupted_forks); /* the next that waits here */
}

/* Who was interrupted must not wait for long for anything: the holder may be waiting for it. Nor must another wait for long for
 * it, while libc makes it wait for what that other holds: the lock on the streams, which can be let go (`lets_go`), or, before
 * glibc 2.36 and in static programs, the lock on the list of handlers of fork, which cannot. */
bool all_locks_try_fork(bool lets_go) {
    uint64_t before = os_signals_block();
    forking.interrupted = all_locks_is_interrupted();
    forking.since = os_clock_ms();
    bool missing = acquire(gives_up);
    if (missing && lets_go && !forking.interrupted && !has_waited(PATIENCE_MS)) {
        release();
        os_signals_restore(before);
        return false;
    }
    forking.signals_before = before;
    forking.missing = missing;
    if (missing) /* a handler of fork that allocates must not meet what another thread works on */
        aside_begin();
    else if (!forking.interrupted) /* else a handler that allocates comes into the middle of this thread's call, and is told */
        lock_fork_begin();
    return true;
}

void all_locks_fork_release(void) {
    uint64_t before = forking.signals_before;
    if (forking.missing)
        aside_end();
    lock_fork_end();
    release();
    os_signals_restore(before);
}

/* ---- in the child ------------------------------------------------------------------------------------------------- */

static void tell_child(void) {
    for (size_t i = 0; i < SETS; i++)
        if (sets[i]->child != NULL)
            sets[i]->child();
}

static void tell_forked(void) {
    for (size_t i = 0; i < SETS && !aside_all; i++)
        if (sets[i]->forked != NULL)
            sets[i]->forked();
}

/* The call that the signal had interrupted has let go of its last lock. */
static void put_right_late(void) {
    uint64_t before = all_locks_acquire();
    tell_forked();
    all_locks_release(before);
}

void all_locks_reset(void) {
    if (forking.missing)
        aside_begin_for_all();
    tell_child();
    if (!forking.interrupted)
        tell_forked();
    for (size_t i = 0; i < SETS; i++)
        lock_set_reset(sets[i], put_right_late);
    lock_fork_end();
    atomic_store(&interrupted_forks, 0);
    os_signals_restore(forking.signals_before);
}

void all_locks_reset_alone(void) {
    tell_child();
    if (!all_locks_is_interrupted())
        tell_forked();
}
