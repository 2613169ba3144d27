/* SPDX-License-Identifier: MIT */
/* Attributes, constants and arithmetic that all of alloc/ shares. Nothing here has state or can fail. */
#ifndef MYALLOC_BASE_H
#define MYALLOC_BASE_H

#include "base/arch.h"

#include <limits.h>
#include <stdbool.h>

#ifndef MYALLOC_DEBUG
#define MYALLOC_DEBUG 0 /* 1: every ASSERT is checked and the event counters run */
#endif
#ifndef MYALLOC_STATIC
#define MYALLOC_STATIC 0 /* 1: built for libmyalloc.a */
#endif
#ifndef MYALLOC_FAULT
#define MYALLOC_FAULT 0 /* 1: the OS layer can be told to refuse its Nth call */
#endif

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((noinline, cold))
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
/* On data that other files of the library see: without it the compiler must take it for data that another module may replace,
 * and reads its address from the global offset table each time. */
#define HIDDEN __attribute__((visibility("hidden")))
#define EXPORT __attribute__((visibility("default")))
/* On functions that read words which another thread may be writing, and for which the word before or after that write is as
 * good: statistics, say. The writer's fast path has no instruction to spare for an atomic access. Keeps ThreadSanitizer from
 * reporting them. */
#define READS_OTHERS __attribute__((no_sanitize("thread")))
/* On tables of which little is used. The linker sorts sections by name, so these lie behind the small variables, which are
 * then all on a few pages. */
#define BIG_TABLE __attribute__((section(".bss.table")))
/* On functions that every process runs once, when it starts or ends: they lie together in the shared library, beside what the
 * loader reads (kit/pages.ld), and come with it. */
#define AT_START __attribute__((section(".text.startup")))
#define LINE_ALIGNED __attribute__((aligned(CACHE_LINE)))
/* Starts to bring what lies there, any address, into the cache. */
#define PREFETCH(p) __builtin_prefetch(p)
/* On thread-local data. Initial-exec: it lies at an offset from the thread's base that is fixed when the program is loaded,
 * so that no function is called to find it. The library must then be there from the program's start. */
#define THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* A unit is the grain of the page heap: spans are whole units, the unit map has one entry a unit. 16 KiB: with 8
 * KiB, by the program, memory was from 3 % less to 3 % more and time from 7 % less to 14 % more (heap/README.md, "Not taken").
 * A system with pages of 64 KiB needs a build with 16 here. */
#ifndef UNIT_SHIFT
#define UNIT_SHIFT 14
#endif
#define UNIT ((size_t)1 << UNIT_SHIFT)

#define BLOCK_ALIGN ((size_t)16)
#define SIZE_LIMIT ((size_t)PTRDIFF_MAX) /* no request above this can succeed: the program could not subtract its addresses */
#define SPACE_LIMIT ((size_t)1 << ADDRESS_BITS)      /* no block ends beyond */
#define ALIGN_LIMIT ((size_t)1 << (ADDRESS_BITS - 1)) /* no block lies at a multiple of more: of addresses only 0 does */
#define UNSIZED SIZE_MAX                  /* the call that frees does not tell the size */

_Static_assert(UNIT % OS_PAGE_MIN == 0, "a unit is whole OS pages");

/* `align` is a power of two. */
static inline size_t align_up(size_t n, size_t align) {
    return (n + align - 1) & ~(align - 1);
}

static inline size_t align_down(size_t n, size_t align) {
    return n & ~(align - 1);
}

static inline bool is_pow2(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

static inline size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Position of the highest set bit; n must not be 0. */
static inline unsigned high_bit(size_t n) {
    return 63u - (unsigned)__builtin_clzl(n);
}

/* Bits [first, first + count) of a word; count is 1 to 64. */
static inline uint64_t bit_range(size_t first, size_t count) {
    return ~(uint64_t)0 >> (64 - count) << first;
}

static inline size_t units_for(size_t bytes) {
    return (bytes + UNIT - 1) >> UNIT_SHIFT;
}

#endif
