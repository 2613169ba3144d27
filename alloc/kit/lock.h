/* SPDX-License-Identifier: MIT */
/*
 * A futex mutex with a rank. Locks are taken in the order of enum lock_rank, one of a rank at a time; debug
 * builds assert it. A thread that would wait for itself has been interrupted by a signal whose handler allocates: that is
 * told (report_reentered), for the wait would never end.
 *
 * Around fork() and during walks over everything one thread holds all locks (all_locks.h). Until lock_fork_end its own
 * acquire and release do nothing: handlers of fork that the program registered may allocate in between.
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
    LOCK_FIRST_USE,
    LOCK_CLASS,
    LOCK_SPANS,
    LOCK_MAPPED,
    LOCK_HARDENED,
    LOCK_GUARDED,
    LOCK_META,
    LOCK_STACKS,
    LOCK_LEAKS,
    LOCK_TRACE,
    LOCK_NONE
};

#define LOCK_WAITED 1u

struct lock {
    _Atomic uintptr_t state; /* 0: free; else the holder's lock_self(), plus LOCK_WAITED if others sleep */
};

extern HIDDEN _Atomic(const void *) lock_fork_owner; /* identity of the thread inside fork(), or NULL */
extern HIDDEN THREAD_LOCAL unsigned lock_held_ranks; /* debug builds: a bit for each rank this thread holds */

/* No two living threads have the same; even, because bit 0 is LOCK_WAITED. */
static inline const void *lock_self(void) {
    return &lock_held_ranks;
}

/* One instruction both takes the lock and names its holder, so that a signal handler of this thread that wants the lock finds
 * out that its own thread has it. */
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

/* ---- all locks at once: for fork, and for walks over everything --------------------------------------------------- */

/* The locks of a module and what it does in a forked child. A module has one, and all_locks.c has them all in a table. */
struct lock_set {
    enum lock_rank rank;
    struct lock *lock;                    /* taken first; NULL if there is none but further ones */
    struct lock *(*further)(unsigned n);  /* the nth, from 0, of those taken behind it; NULL behind the last; may be NULL */
    void (*forked)(void);                 /* in the child, all locks still held: puts right what threads that are gone have
                                             left in the middle; may be NULL */
};

/* Takes, lets go, or makes new (in a child) all locks of a set, whatever their number, without a look at the ranks. */
void lock_set_acquire(const struct lock_set *set);
void lock_set_release(const struct lock_set *set);
void lock_set_reset(const struct lock_set *set);

/* Takes a lock that has been made since all others were taken, by the thread that holds them. */
void lock_acquire_forking(struct lock *lock);

void lock_fork_begin(void); /* all locks are now held by this thread */
void lock_fork_end(void);   /* ... and are about to be let go */

#endif
