/* SPDX-License-Identifier: MIT */
#include "kit/lock.h"

#include "os/os.h"

#define SPINS 64 /* a section is some hundred instructions; sleeping costs a system call on each side */

_Atomic(const void *) lock_fork_owner;
THREAD_LOCAL unsigned lock_held_ranks;

/* The kernel compares 32 bits. Those with LOCK_WAITED: two threads may have the same, but then a sleeper is woken all the
 * same, by the release of whoever holds the lock. */
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

void lock_fork_acquire(struct lock *lock) {
    if (!lock_try(lock, (uintptr_t)lock_self()))
        lock_wait_slow(lock);
}

void lock_fork_begin(void) {
    atomic_store(&lock_fork_owner, lock_self());
}

void lock_fork_end(void) {
    atomic_store(&lock_fork_owner, NULL);
}

void lock_fork_release(struct lock *lock) {
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) & LOCK_WAITED)
        lock_wake_slow(lock);
}

void lock_fork_reset(struct lock *lock) {
    atomic_store(&lock->state, 0);
}
