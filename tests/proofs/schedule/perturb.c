/* SPDX-License-Identifier: MIT */
/*
 * The schedule perturbed: the allocator's own sources, compiled with -fsanitize=thread and linked with the functions below
 * instead of ThreadSanitizer's. The compiler calls one at every load, store, atomic operation and fence, and so at every
 * acquire and release of a lock. Each does the operation, after it has by chance let another thread run (sched_yield), spun,
 * or slept for some microseconds. So threads meet in places of a few instructions where they hardly ever meet otherwise.
 *
 * MYALLOC_SCHEDULE is the seed, 1 by default. It decides how often each of these happens, and together with the order in
 * which threads come, when. Atomic operations are sequentially consistent here: this build is for orders of steps, not for
 * orders of memory (tests/proofs/model/orders.pml, tests/proofs/tsan). It must not allocate, and runs before anything is set
 * up.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOCAL static __thread __attribute__((tls_model("initial-exec")))
#define SLEEP_MAX 50000 /* nanoseconds; the kernel adds about as much */
#define SPIN_MAX 2000

LOCAL uint64_t state;
static uint64_t seed;
static unsigned threads;

static uint64_t mixed(uint64_t n) {
    n = (n ^ n >> 31) * UINT64_C(0x7fb5d329728ea185);
    n = (n ^ n >> 27) * UINT64_C(0x81dadef4bc2dd44d);
    return n ^ n >> 33;
}

static void __attribute__((noinline)) begin(void) {
    const char *text = getenv("MYALLOC_SCHEDULE");
    seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    state = mixed(seed * 1000003 + __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED)) | 1;
}

/* True once in 2^bits, by the low bits of `random`, which are used up. */
static bool by_chance(uint64_t *random, unsigned bits) {
    bool now = (*random & ((UINT64_C(1) << bits) - 1)) == 0;
    *random >>= bits;
    return now;
}

static void __attribute__((noinline)) delay(uint64_t random, bool sleeps) {
    int kept = errno;
    unsigned length = random % SPIN_MAX;
    struct timespec nap = {0, (long)(random % SLEEP_MAX)};
    if (sleeps)
        syscall(SYS_nanosleep, &nap, NULL);
    else if (random >> 12 & 1)
        syscall(SYS_sched_yield);
    else
        while (length-- > 0)
            __asm__ volatile("" ::: "memory");
    errno = kept;
}

/* One operation in 2^often is delayed, one in 16 of these by a sleep; the seed makes that more or less. */
static inline void point(unsigned often) {
    if (__builtin_expect(state == 0, 0))
        begin();
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    uint64_t random = state >> 8;
    if (__builtin_expect(by_chance(&random, often + (unsigned)(seed & 3)), 0)) {
        bool sleeps = by_chance(&random, 3 + (unsigned)(seed >> 2 & 3));
        delay(random, sleeps);
    }
}

#define AT_ATOMICS 4 /* one in 16, 32, 64 or 128 */
#define AT_ACCESSES 11

void __tsan_init(void) {}
void __tsan_func_entry(void *caller) { (void)caller; }
void __tsan_func_exit(void) {}

#define ACCESS(name)                                                                                                   \
    void __tsan_##name(void *p) {                                                                                      \
        (void)p;                                                                                                       \
        point(AT_ACCESSES);                                                                                            \
    }
#define ACCESSES(bytes)                                                                                                \
    ACCESS(read##bytes) ACCESS(write##bytes) ACCESS(unaligned_read##bytes) ACCESS(unaligned_write##bytes)
ACCESSES(1) ACCESSES(2) ACCESSES(4) ACCESSES(8) ACCESSES(16)

#define RANGE(name)                                                                                                    \
    void __tsan_##name(void *p, size_t bytes) {                                                                        \
        (void)p, (void)bytes;                                                                                          \
        point(AT_ACCESSES);                                                                                            \
    }
RANGE(read_range) RANGE(write_range)

void *__tsan_memcpy(void *to, const void *from, size_t bytes) { return memcpy(to, from, bytes); }
void *__tsan_memmove(void *to, const void *from, size_t bytes) { return memmove(to, from, bytes); }
void *__tsan_memset(void *to, int byte, size_t bytes) { return memset(to, byte, bytes); }

#define MODIFY(bits, type, name)                                                                                       \
    type __tsan_atomic##bits##_##name(volatile type *p, type value, int order) {                                       \
        (void)order;                                                                                                   \
        point(AT_ATOMICS);                                                                                             \
        return __atomic_##name(p, value, __ATOMIC_SEQ_CST);                                                            \
    }
#define COMPARE_EXCHANGE(bits, type, kind)                                                                             \
    int __tsan_atomic##bits##_compare_exchange_##kind(volatile type *p, type *expected, type value, int order,         \
                                                      int failed) {                                                    \
        (void)order, (void)failed;                                                                                     \
        point(AT_ATOMICS);                                                                                             \
        return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);             \
    }
#define ATOMIC(bits, type)                                                                                             \
    type __tsan_atomic##bits##_load(const volatile type *p, int order) {                                               \
        (void)order;                                                                                                   \
        point(AT_ATOMICS);                                                                                             \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                                   \
    }                                                                                                                  \
    void __tsan_atomic##bits##_store(volatile type *p, type value, int order) {                                        \
        (void)order;                                                                                                   \
        point(AT_ATOMICS);                                                                                             \
        __atomic_store_n(p, value, __ATOMIC_SEQ_CST);                                                                  \
    }                                                                                                                  \
    type __tsan_atomic##bits##_exchange(volatile type *p, type value, int order) {                                     \
        (void)order;                                                                                                   \
        point(AT_ATOMICS);                                                                                             \
        return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);                                                        \
    }                                                                                                                  \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type expected, type value, int order,            \
                                                    int failed) {                                                      \
        (void)order, (void)failed;                                                                                     \
        point(AT_ATOMICS);                                                                                             \
        __atomic_compare_exchange_n(p, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                   \
        return expected;                                                                                               \
    }                                                                                                                  \
    COMPARE_EXCHANGE(bits, type, strong)                                                                               \
    COMPARE_EXCHANGE(bits, type, weak)                                                                                 \
    MODIFY(bits, type, fetch_add)                                                                                      \
    MODIFY(bits, type, fetch_sub)                                                                                      \
    MODIFY(bits, type, fetch_and)                                                                                      \
    MODIFY(bits, type, fetch_or)                                                                                       \
    MODIFY(bits, type, fetch_xor)
ATOMIC(8, uint8_t) ATOMIC(16, uint16_t) ATOMIC(32, uint32_t) ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order) {
    (void)order;
    point(AT_ATOMICS);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Where the code says that a fork may strike between two stores (ORDERED). */
void __tsan_atomic_signal_fence(int order) {
    (void)order;
    point(AT_ATOMICS);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}
