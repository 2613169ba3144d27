/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include "os.h"

#define SPINS 64 /* a section is some hundred instructions; sleeping costs a system call on each side */

_Atomic(const void *) lock_fork_owner;
THREAD_LOCAL unsigned lock_held_ranks;

static inline void pause_cpu(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void COLD lock_wait_slow(struct lock *lock) {
    COUNT(COUNT_WAITS);
    for (int i = 0; i < SPINS; i++) {
        uint32_t expected = 0;
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_weak_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
        pause_cpu();
    }
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        os_futex_wait(&lock->state, 2);
}

void COLD lock_wake_slow(struct lock *lock) {
    os_futex_wake(&lock->state);
}

void lock_fork_acquire(struct lock *lock) {
    uint32_t expected = 0;
    if (!atomic_compare_exchange_strong(&lock->state, &expected, 1))
        lock_wait_slow(lock);
}

void lock_fork_begin(void) {
    atomic_store(&lock_fork_owner, lock_self());
}

void lock_fork_end(void) {
    atomic_store(&lock_fork_owner, NULL);
}

void lock_fork_release(struct lock *lock) {
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2)
        lock_wake_slow(lock);
}

void lock_fork_reset(struct lock *lock) {
    atomic_store(&lock->state, 0);
}
