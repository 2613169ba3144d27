/* SPDX-License-Identifier: MIT */
/*
 * Fault injection into the OS layer, compiled in with -DMYALLOC_FAULT=1 only. Every call that the OS can refuse
 * is of a kind. MYALLOC_FAULT=N makes the Nth call fail, N+ that one and all later ones, ~N:SEED one in N at random.
 * MYALLOC_FAULT_KIND=NAME counts one kind or group alone, MYALLOC_FAULT_AT=OFFSET,... only calls from these places.
 * With MYALLOC_FAULT_REPORT=1 a line at exit says how many calls were refused. To the file MYALLOC_FAULT_SITES lines
 * "KIND OFFSET SEEN REFUSED" are added, whose sums are those of the place in the code that called: one at its first
 * call, one at its first refusal, one at exit. The offset is that of the return address in the library.
 */
#ifndef MYALLOC_OS_FAULT_H
#define MYALLOC_OS_FAULT_H

#include "base/base.h"

/* Name, group. */
#define OS_FAULT_KINDS(X)                                                                                              \
    X(sbrk, brk) X(shrink, give) X(map, mmap) X(reserve, mmap) X(commit, mmap) X(unmap, give) X(remap, mremap)         \
    X(cut, give) X(steal, mremap) X(put_back, mremap) X(purge, give) X(populate, advice) X(hugepage, advice)           \
    X(read_file, file) X(create, file) X(write, file) X(file_create, file) X(file_write, file) X(open_read, file)      \
    X(read_at, file) X(read_memory, file) X(reserve_shut, mmap) X(seal, mmap) X(shut, give) X(fence, advice)           \
    X(random, random) X(protect, pages) X(guard, pages) X(unguard, pages)

#define OS_FAULT_KIND(name, group) OS_FAULT_##name,
enum os_fault_kind { OS_FAULT_KINDS(OS_FAULT_KIND) OS_FAULT_COUNT };

bool os_fault_due(enum os_fault_kind kind, const void *caller);

/* In a function of the OS layer: true if this call is to be refused. Constant false in every build but the one for fault
 * tests. */
#define os_fault(kind) (MYALLOC_FAULT && os_fault_due(OS_FAULT_##kind, __builtin_return_address(0)))

#endif
