/* SPDX-License-Identifier: MIT */
/*
 * Fault injection into the OS layer (rank 1), compiled in with -DMYALLOC_FAULT=1 only. MYALLOC_FAULT=N makes the Nth
 * call that obtains something fail, N+ that one and all later ones; MYALLOC_FAULT_KIND=brk|mmap|mremap|guard counts one kind
 * alone. With MYALLOC_FAULT_REPORT=1 a line at exit says how many calls were refused.
 */
#ifndef MYALLOC_OS_FAULT_H
#define MYALLOC_OS_FAULT_H

#include "base.h"

enum os_fault_kind { OS_FAULT_BRK, OS_FAULT_MMAP, OS_FAULT_MREMAP, OS_FAULT_GUARD };

bool os_fault_due(enum os_fault_kind kind);

/* True if this call is to be refused. Constant false in every build but the one for fault tests. */
static inline bool os_fault(enum os_fault_kind kind) {
    return MYALLOC_FAULT && os_fault_due(kind);
}

#endif
