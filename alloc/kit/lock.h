/* SPDX-License-Identifier: MIT */
/*
 * A futex mutex with a rank. Locks are taken in the order of enum lock_rank, one of a rank at a time; debug
 * builds assert it. A thread that would wait for itself has been interrupted by a signal whose handler allocates: that is
 * told (report_reentered), for the wait would never end.
 *
 * Around fork() and during walks over everything one thread holds all locks (all_locks.h), each marked with LOCK_ALL. Until
 * lock_fork_end its own acquire and release do nothing: handlers of fork that the program registered may allocate in between.
 *
 * The handler of a signal may fork, though it must not allocate. What its thread holds because the signal has interrupted it in
 * the allocator has no such mark: it stays as it is, in the parent and in the child, where the thread goes on.
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
    LOCK_SHARD, /* a second shard of the class, only tried */
    LOCK_SLABS,
    LOCK_SHELF,
    LOCK_SPANS,
    LOCK_MAPPED,
    LOCK_HARDENED,
    LOCK_GUARDED,
    LOCK_META,
    LOCK_STACKS,
    LOCK_LEAKS,
    LOCK_PROFILE,
    LOCK_TRACE,
    LOCK_NONE
};

#define LOCK_WAITED 1u /* others sleep */
#define LOCK_ALL 2u    /* taken among all locks */
#define LOCK_LATE 4u   /* in a forked child: was held by the thread that a signal had interrupted; its release is looked at */
#define LOCK_MARKS ((uintptr_t)(LOCK_WAITED | LOCK_ALL | LOCK_LATE))

struct lock {
    _Atomic uintptr_t state; /* 0: free; else the holder's lock_self(), plus marks */
};

extern HIDDEN _Atomic(const void *) lock_fork_owner; /* identity of the thread inside fork(), or NULL */
extern HIDDEN THREAD_LOCAL unsigned lock_held_ranks; /* debug builds: a bit for each rank this thread holds */

/* No two living threads have the same; a multiple of 8, which leaves room for LOCK_MARKS. */
static inline const void *lock_self(void) {
    return &lock_held_ranks;
}

/* True if this thread holds the lock. */
static inline bool lock_is_mine(struct lock *lock) {
    return (atomic_load_explicit(&lock->state, memory_order_relaxed) & ~LOCK_MARKS) == (uintptr_t)lock_self();
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
void lock_released_slow(struct lock *lock, uintptr_t was);

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

/* Takes the lock if that needs no wait. */
static inline bool lock_try_acquire(struct lock *lock, enum lock_rank rank) {
    if (lock_is_forking())
        return true;
    if (!lock_try(lock, (uintptr_t)lock_self()))
        return false;
    COUNT(COUNT_LOCKS);
    ASSERT((lock_held_ranks >> rank) == 0);
    if (MYALLOC_DEBUG)
        lock_held_ranks |= 1u << rank;
    return true;
}

static inline void lock_release(struct lock *lock, enum lock_rank rank) {
    if (lock_is_forking())
        return;
    if (MYALLOC_DEBUG)
        lock_held_ranks &= ~(1u << rank);
    uintptr_t was = atomic_exchange_explicit(&lock->state, 0, memory_order_release);
    if (UNLIKELY(was & (LOCK_WAITED | LOCK_LATE)))
        lock_released_slow(lock, was);
}

/* For the handler of a signal that must not wait: true if it may read what the lock protects, because it has taken it, *taken,
 * or because its own thread had it when it was interrupted. False if another thread does not let it go within some 100 us. */
bool lock_glimpse(struct lock *lock, bool *taken);

/* ---- turns -------------------------------------------------------------------------------------------------------- */

/* Work that one thread at a time does and that nobody waits for: who comes while another is at it goes on without. No lock, so
 * that fork does not wait for it either. */
struct turn {
    _Atomic(const void *) thread; /* lock_self() of who is at it; NULL if nobody is */
};

/* False if a thread, maybe this one, is at it. */
static inline bool turn_try(struct turn *turn) {
    const void *nobody = NULL;
    return atomic_compare_exchange_strong_explicit(&turn->thread, &nobody, lock_self(), memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void turn_end(struct turn *turn) {
    atomic_store_explicit(&turn->thread, NULL, memory_order_release);
}

/* In a forked child: ends it for a thread that did not live on. */
static inline void turn_forked(struct turn *turn) {
    if (atomic_load_explicit(&turn->thread, memory_order_relaxed) != lock_self())
        turn_end(turn);
}

/* ---- all locks at once: for fork, and for walks over everything --------------------------------------------------- */

/* The locks of a module and what it does in a forked child. A module has one, and all_locks.c has them all in a table. */
struct lock_set {
    enum lock_rank rank;
    struct lock *lock;                    /* taken first; NULL if there is none but further ones */
    struct lock *(*further)(unsigned n);  /* the nth, from 0, of those taken behind it; NULL behind the last; may be NULL */
    void (*forked)(void);                 /* in the child, all locks still held: puts right what threads that are gone have
                                             left in the middle, not what this one has; may be NULL */
    void (*child)(void);                  /* in every child, before that; it may be in the middle of anything of its thread's
                                             own, so this takes no lock; may be NULL */
};

/* True if this thread holds a lock of the set. */
bool lock_set_is_mine(const struct lock_set *set);

/* Takes all locks of a set, whatever their number, without a look at the ranks, but those that this thread has. `gives_up` is
 * asked whenever another thread has one: NULL to wait as long as it takes; where it is true, this goes without. False if one is
 * missing. */
bool lock_set_acquire(const struct lock_set *set, bool (*gives_up)(void));

/* Lets go what lock_set_acquire has taken. */
void lock_set_release(const struct lock_set *set);

/* In a child: makes the locks of a set new, but those that this thread held before it forked. Those get LOCK_LATE, and when the
 * last of them has been let go, `late` is called. */
void lock_set_reset(const struct lock_set *set, void (*late)(void));

/* Takes a lock that has been made since all others were taken, by the thread that holds them. */
void lock_acquire_forking(struct lock *lock);

void lock_fork_begin(void); /* all locks are now held by this thread */
void lock_fork_end(void);   /* ... and are about to be let go */

#endif
