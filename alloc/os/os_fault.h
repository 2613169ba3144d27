/* SPDX-License-Identifier: MIT */
/*
 * Calls to the OS that fail on purpose, for tests: there with -DMYALLOC_FAULT=1 only, of which the other builds have no trace.
 * Every call that the OS can refuse is of a kind. The environment says which calls are refused:
 *   MYALLOC_FAULT=N             the Nth call; N+ that one and all later ones; ~N:SEED one in N at random
 *   MYALLOC_FAULT_KIND=NAME     only calls of this kind, or of the kinds of this group, count
 *   MYALLOC_FAULT_AT=OFFSET,... only calls from these places count, each the offset in the library that the call returns to
 *   MYALLOC_FAULT_REPORT=1      a line at exit says how many calls were refused
 *   MYALLOC_FAULT_SITES=FILE    lines "KIND OFFSET SEEN REFUSED" are appended to FILE. Each place appends a line at its first
 *                               call, its first refusal and at exit; add them up
 */
#ifndef MYALLOC_OS_FAULT_H
#define MYALLOC_OS_FAULT_H

#include "base/base.h"

/* Each kind is named after the function of os.h that it refuses, os_KIND, but for a few that tell two uses of one apart: sbrk
 * and shrink, remap and cut, and fence. The second word is the group. */
#define OS_FAULT_KINDS(X)                                                                                              \
    X(sbrk, brk) X(shrink, give) X(map, mmap) X(unmap, give) X(remap, mremap) X(cut, give) X(steal, mremap)            \
    X(put_back, mremap) X(reserve, mmap) X(reserve_zeros, mmap) X(map_at, mmap) X(reserve_at, mmap)                    \
    X(reserve_zeros_at, mmap) X(commit, mmap) X(commit_zeros, mmap) X(writable, mmap) X(decommit, give) X(purge, give) \
    X(purge_locked, give) X(discard, give) X(readonly, mmap) X(guard_install, pages) X(guard_remove, pages)            \
    X(fence, advice) X(populate, advice) X(hugepage, advice) X(collapse, advice) X(random, random)                     \
    X(read_file, file) X(create, file) X(append, file) X(write, file) X(file_create, file)                             \
    X(file_write, file) X(open_read, file) X(read_at, file) X(read_memory, file) X(can_read, file)                     \
    X(futex_sleep, wait) X(read_path, file) X(pages_open, file) X(pages_next, file) X(pages_alone, file)               \
    X(signal_stack, signals) X(replace_file, file)

#define OS_FAULT_KIND(name, group) OS_FAULT_##name,
enum os_fault_kind { OS_FAULT_KINDS(OS_FAULT_KIND) OS_FAULT_COUNT };

bool os_fault_due(enum os_fault_kind kind, const void *caller);

extern HIDDEN _Atomic uint64_t os_calls; /* of functions that can be refused; in debug builds only */

static inline bool os_count_call(void) {
    if (MYALLOC_DEBUG)
        os_calls++;
    return false;
}

/* os_fault(KIND), once in each call of a function of the OS layer that can be refused: true if this one is to be. */
#if MYALLOC_FAULT
#define os_fault(kind) (os_count_call() || os_fault_due(OS_FAULT_##kind, __builtin_return_address(0)))
#else
#define os_fault(kind) os_count_call()
#endif

#endif
