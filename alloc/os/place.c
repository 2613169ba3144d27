/* SPDX-License-Identifier: MIT */
/* Memory at addresses of our choice. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "os/kernel.h"
#include "os/os.h"
#include "os/os_fault.h"

#define LEAST_SPACE GIB   /* no address space of a program is smaller */
#define APART (1 * GIB)   /* places lie up to so far from each other, at random */

/*
 * Where the kernel puts nothing by itself. With user space from 0 to TOP, programs and their breaks start near 0 or at 2/3 of
 * TOP; mappings go downwards from TOP, or in the old layout (ADDR_COMPAT_LAYOUT, an unlimited stack) upwards from 1/3 of it.
 * What is left is from TOP/6, above what sanitizers, Go and Java take below, to TOP/3: 21 TiB with 47 bits. TOP is the power of
 * two above the stack, where the kernel has put what AT_RANDOM points to.
 */
static uintptr_t top_of_space(void) {
    uintptr_t stack = kernel_given(AT_RANDOM);
    if (stack < LEAST_SPACE)
        stack = (uintptr_t)__builtin_frame_address(0);
    uintptr_t top = (uintptr_t)2 << high_bit(stack);
    return min_size(max_size(top, LEAST_SPACE), (uintptr_t)1 << ADDRESS_BITS);
}

/* A number that another process cannot guess, if the kernel has put stack and code where nobody can. */
static uint64_t draw(uint64_t more) {
    static const char here;
    uint64_t mixed = kernel_given(AT_RANDOM) ^ (uintptr_t)&here << 20 ^ more;
    mixed = (mixed ^ mixed >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return mixed ^ mixed >> 32;
}

char *os_place(size_t bytes) {
    static _Atomic uintptr_t next; /* 0 before the first call */
    uintptr_t top = top_of_space(), first = top / 6, end = top / 3, apart = min_size(APART, top / 1024);
    uintptr_t old = atomic_load_explicit(&next, memory_order_relaxed), at;
    do {
        uint64_t random = draw(old);
        at = align_up(old == 0 ? first + random % (top / 24) : old + random % apart, OS_PAGE);
        if (at >= end || bytes > end - at)
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(&next, &old, at + bytes, memory_order_relaxed, memory_order_relaxed));
    return (char *)at;
}

/* Before Linux 4.17 the kernel takes the address for a wish, and others may do so now. */
static bool map_at(void *addr, size_t bytes, int protection, int flags) {
    flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    long got = kernel(SYS_mmap, addr, bytes, protection, flags, -1, 0);
    if (!kernel_refused(got) && got != (long)addr)
        kernel(SYS_munmap, got, bytes);
    return got == (long)addr;
}

bool os_map_at(void *addr, size_t bytes) {
    return !os_fault(map_at) && map_at(addr, bytes, PROT_READ | PROT_WRITE, 0);
}

/* Without MADV_DONTDUMP: what was never written is in no core dump. */
bool os_reserve_at(void *addr, size_t bytes) {
    return !os_fault(reserve_at) && map_at(addr, bytes, PROT_NONE, MAP_NORESERVE);
}

bool os_reserve_zeros_at(void *addr, size_t bytes) {
    return !os_fault(reserve_zeros_at) && map_at(addr, bytes, PROT_READ, MAP_NORESERVE);
}
