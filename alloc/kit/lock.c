/* SPDX-License-Identifier: MIT */
#include "kit/lock.h"

#include "os/os.h"

#define SPINS 64 /* a section is some hundred instructions; sleeping costs a system call on each side */

_Atomic(const void *) lock_fork_owner;
THREAD_LOCAL unsigned lock_held_ranks;

/* The half of the state that the kernel compares before it lets a thread sleep. Two threads may have the same low half. Then a
 * thread sleeps although the lock has changed hands meanwhile; LOCK_WAITED is in that half, so the new holder wakes it. */
static _Atomic uint32_t *futex_word(struct lock *lock) {
    return (_Atomic uint32_t *)(void *)&lock->state;
}

void COLD lock_wait_slow(struct lock *lock) {
    const uintptr_t self = (uintptr_t)lock_self();
    COUNT(COUNT_WAITS);
    if ((atomic_load_explicit(&lock->state, memory_order_relaxed) & ~(uintptr_t)LOCK_WAITED) == self)
        report_reentered();
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 && lock_try(lock, self))
            return;
        arch_pause();
    }
    while (!lock_try(lock, self | LOCK_WAITED)) { /* others may still sleep when we have it */
        uintptr_t holder = atomic_load_explicit(&lock->state, memory_order_relaxed);
        if (holder == 0 || (!(holder & LOCK_WAITED) &&
                            !atomic_compare_exchange_strong_explicit(&lock->state, &holder, holder | LOCK_WAITED,
                                                                     memory_order_relaxed, memory_order_relaxed)))
            continue;
        os_futex_wait(futex_word(lock), (uint32_t)(holder | LOCK_WAITED));
    }
}

void COLD lock_wake_slow(struct lock *lock) {
    os_futex_wake(futex_word(lock));
}

void lock_acquire_forking(struct lock *lock) {
    if (!lock_try(lock, (uintptr_t)lock_self()))
        lock_wait_slow(lock);
}

static void release_forking(struct lock *lock) {
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) & LOCK_WAITED)
        lock_wake_slow(lock);
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

void lock_set_acquire(const struct lock_set *set) {
    if (set->lock != NULL)
        lock_acquire_forking(set->lock);
    struct lock *lock;
    for (unsigned n = 0; (lock = nth_further(set, n)) != NULL; n++)
        lock_acquire_forking(lock);
}

/* Backwards: once the first is free, another thread may add to the further ones. */
void lock_set_release(const struct lock_set *set) {
    for (unsigned n = count_further(set); n > 0; n--)
        release_forking(nth_further(set, n - 1));
    if (set->lock != NULL)
        release_forking(set->lock);
}

void lock_set_reset(const struct lock_set *set) {
    for (unsigned n = count_further(set); n > 0; n--)
        atomic_store(&nth_further(set, n - 1)->state, 0);
    if (set->lock != NULL)
        atomic_store(&set->lock->state, 0);
}

void lock_fork_begin(void) {
    atomic_store(&lock_fork_owner, lock_self());
}

void lock_fork_end(void) {
    atomic_store(&lock_fork_owner, NULL);
}
