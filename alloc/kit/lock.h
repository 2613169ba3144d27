/* SPDX-License-Identifier: MIT */
/*
 * A futex mutex with a rank. Locks are taken in the order of enum lock_rank, one of a rank at a time; debug
 * builds assert it. A thread that waits for itself has been interrupted by a signal whose handler allocates: that is told
 * (report_reentered), for it would never end. fork() takes every lock in the same order; the forking thread then owns them
 * all, so until lock_fork_end its own acquire and release do nothing (handlers of the program may allocate in between).
 */
#ifndef MYALLOC_LOCK_H
#define MYALLOC_LOCK_H

#include <stdatomic.h>

#include "base/base.h"
#include "kit/report.h"

enum lock_rank {
    LOCK_MODES,
    LOCK_CHECK,
    LOCK_CACHES,
    LOCK_PLACES,
    LOCK_CLASS,
    LOCK_SPANS,
    LOCK_MAPPED,
    LOCK_HARDENED,
    LOCK_GUARDED,
    LOCK_META,
    LOCK_STACKS,
    LOCK_LEAKS,
    LOCK_TRACE,
    LOCK_RANKS
};

#define LOCK_WAITED 1u

struct lock {
    _Atomic uintptr_t state; /* 0: free; else the holder's lock_self(), plus LOCK_WAITED if others sleep */
};

extern HIDDEN _Atomic(const void *) lock_fork_owner; /* identity of the thread inside fork(), or NULL */
extern HIDDEN THREAD_LOCAL unsigned lock_held_ranks; /* debug builds: a bit for each rank this thread holds */

/* Different for all threads that live; even. */
static inline const void *lock_self(void) {
    return &lock_held_ranks;
}

/* In one step, so that whoever interrupts it can tell. */
static inline bool lock_try(struct lock *lock, uintptr_t as) {
    uintptr_t free = 0;
    return atomic_compare_exchange_strong_explicit(&lock->state, &free, as, memory_order_acquire, memory_order_relaxed);
}

static inline bool lock_is_forking(void) {
    return UNLIKELY(atomic_load_explicit(&lock_fork_owner, memory_order_relaxed) == lock_self());
}

void lock_wait_slow(struct lock *lock);
void lock_wake_slow(struct lock *lock);

static inline void lock_acquire(struct lock *lock, enum lock_rank rank) {
    if (lock_is_forking())
        return;
    COUNT(COUNT_LOCKS);
    if (UNLIKELY(!lock_try(lock, (uintptr_t)lock_self())))
        lock_wait_slow(lock);
    ASSERT((lock_held_ranks >> rank) == 0);
    if (MYALLOC_DEBUG)
        lock_held_ranks |= 1u << rank;
}

static inline void lock_release(struct lock *lock, enum lock_rank rank) {
    if (lock_is_forking())
        return;
    if (MYALLOC_DEBUG)
        lock_held_ranks &= ~(1u << rank);
    if (UNLIKELY(atomic_exchange_explicit(&lock->state, 0, memory_order_release) & LOCK_WAITED))
        lock_wake_slow(lock);
}

/* fork(): hold every lock of a rank, whatever its number; let go in the parent; make new in the child. */
void lock_fork_acquire(struct lock *lock);
void lock_fork_begin(void); /* all locks are now held by this thread */
void lock_fork_end(void);   /* ... and are about to be let go */
void lock_fork_release(struct lock *lock);
void lock_fork_reset(struct lock *lock);

#endif
