/* SPDX-License-Identifier: MIT */
#include "kit/lock.h"

#include "os/os.h"

/* Pauses from one look at the lock to the next, the first and the last time: a section is some hundred instructions; sleeping
 * costs a system call on each side. They double, so that of many who wait not all see at once that it is free and take its line
 * from each other: with looks after each pause `mixed` with 64 threads under bench/cores took 1.23, `ring` 1.13 of the time. */
#define FIRST_PAUSES 8
#define LAST_PAUSES 64

_Atomic(const void *) lock_fork_owner;
THREAD_LOCAL _Alignas(8) unsigned lock_held_ranks; /* its address is a holder's name (lock_self) */

/* In a forked child: locks with LOCK_LATE that are still held, and what is to be done then. Its one thread's own. */
static unsigned late_held;
static void (*late_work)(void);

/* The half of the state that the kernel compares before it lets a thread sleep. Two threads may have the same low half. Then a
 * thread sleeps although the lock has changed hands meanwhile; LOCK_WAITED is in that half, so the new holder wakes it. */
static _Atomic uint32_t *futex_word(struct lock *lock) {
    return (_Atomic uint32_t *)(void *)&lock->state;
}

/* Waits for the lock and takes it, as `self`: lock_self() with or without LOCK_ALL. False if `gives_up`, which is NULL for who
 * waits as long as it takes, has become true meanwhile. */
static bool wait_as(struct lock *lock, uintptr_t self, bool (*gives_up)(void)) {
    for (unsigned pauses = FIRST_PAUSES; pauses <= LAST_PAUSES; pauses *= 2) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 && lock_try(lock, self))
            return true;
        for (unsigned i = 0; i < pauses; i++)
            arch_pause();
    }
    while (!lock_try(lock, self | LOCK_WAITED)) { /* others may still sleep when we have it */
        if (gives_up != NULL && gives_up())
            return false;
        uintptr_t holder = atomic_load_explicit(&lock->state, memory_order_relaxed);
        if (holder == 0 || (!(holder & LOCK_WAITED) &&
                            !atomic_compare_exchange_strong_explicit(&lock->state, &holder, holder | LOCK_WAITED,
                                                                     memory_order_relaxed, memory_order_relaxed)))
            continue;
        os_futex_wait(futex_word(lock), (uint32_t)(holder | LOCK_WAITED));
    }
    return true;
}

void COLD lock_wait_slow(struct lock *lock) {
    COUNT(COUNT_WAITS);
    if (lock_is_mine(lock))
        report_reentered();
    wait_as(lock, (uintptr_t)lock_self(), NULL);
}

#define GLIMPSES 10000 /* each with a pause of some 10 ns */

bool lock_glimpse(struct lock *lock, bool *taken) {
    for (int i = 0; i < GLIMPSES; i++, arch_pause()) {
        *taken = lock_try(lock, (uintptr_t)lock_self());
        if (*taken || lock_is_mine(lock))
            return true;
    }
    return false;
}

void COLD lock_released_slow(struct lock *lock, uintptr_t was) {
    if (was & LOCK_WAITED)
        os_futex_wake(futex_word(lock));
    if ((was & LOCK_LATE) && --late_held == 0)
        late_work();
}

/* ---- all locks ----------------------------------------------------------------------------------------------------- */

static bool acquire_for_all(struct lock *lock, bool (*gives_up)(void)) {
    uintptr_t self = (uintptr_t)lock_self() | LOCK_ALL;
    return lock_is_mine(lock) || lock_try(lock, self) || wait_as(lock, self, gives_up);
}

void lock_acquire_forking(struct lock *lock) {
    acquire_for_all(lock, NULL);
}

static bool is_among_all(struct lock *lock) {
    return lock_is_mine(lock) && (atomic_load_explicit(&lock->state, memory_order_relaxed) & LOCK_ALL) != 0;
}

static void release_forking(struct lock *lock) {
    if (!is_among_all(lock))
        return;
    uintptr_t was = atomic_exchange_explicit(&lock->state, 0, memory_order_release);
    if (was & LOCK_WAITED)
        lock_released_slow(lock, was & LOCK_WAITED);
}

/* Nobody else is there, so nobody sleeps. A lock with LOCK_LATE has it from a fork before this one, and is counted. */
static void reset(struct lock *lock) {
    bool stays = lock_is_mine(lock) && !is_among_all(lock);
    if (stays && (atomic_load(&lock->state) & LOCK_LATE) == 0)
        late_held++;
    atomic_store(&lock->state, stays ? (uintptr_t)lock_self() | LOCK_LATE : 0);
}

static struct lock *nth_further(const struct lock_set *set, unsigned n) {
    return set->further != NULL ? set->further(n) : NULL;
}

static unsigned count_further(const struct lock_set *set) {
    unsigned count = 0;
    while (nth_further(set, count) != NULL)
        count++;
    return count;
}

bool lock_set_is_mine(const struct lock_set *set) {
    bool mine = set->lock != NULL && lock_is_mine(set->lock);
    struct lock *lock;
    for (unsigned n = 0; !mine && (lock = nth_further(set, n)) != NULL; n++)
        mine = lock_is_mine(lock);
    return mine;
}

bool lock_set_acquire(const struct lock_set *set, bool (*gives_up)(void)) {
    bool all = set->lock == NULL || acquire_for_all(set->lock, gives_up);
    struct lock *lock;
    for (unsigned n = 0; (lock = nth_further(set, n)) != NULL; n++)
        all = acquire_for_all(lock, gives_up) && all;
    return all;
}

/* Backwards: once the first is free, another thread may add to the further ones. */
void lock_set_release(const struct lock_set *set) {
    for (unsigned n = count_further(set); n > 0; n--)
        release_forking(nth_further(set, n - 1));
    if (set->lock != NULL)
        release_forking(set->lock);
}

void lock_set_reset(const struct lock_set *set, void (*late)(void)) {
    late_work = late;
    for (unsigned n = count_further(set); n > 0; n--)
        reset(nth_further(set, n - 1));
    if (set->lock != NULL)
        reset(set->lock);
}

void lock_fork_begin(void) {
    atomic_store(&lock_fork_owner, lock_self());
}

void lock_fork_end(void) {
    if (lock_is_forking())
        atomic_store(&lock_fork_owner, NULL);
}
