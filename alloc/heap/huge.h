/* SPDX-License-Identifier: MIT */
/*
 * When the heap grows by transparent huge pages: made present at once, 2 MiB at a time, before they are touched. One fault
 * stands for 512, and the heap's pages need fewer entries of the processor's tables.
 *
 * None is asked for where the kernel's setting says never, for all of the system or, by prctl(2) (PR_SET_THP_DISABLE), for
 * this process: 2 MiB of small pages would be made present instead. Where the kernel has none ready, one takes longer than
 * small pages would; then some are left out before the next is asked for, each time more of them.
 *
 * Caller holds LOCK_SPANS but where something else is said. heap/collapse.h says what becomes of memory that has small pages.
 */
#ifndef MYALLOC_HUGE_H
#define MYALLOC_HUGE_H

#include <stdatomic.h>

#include "base/base.h"

/* From this size on the heap grows by huge pages. With 128 MiB instead, python took 2 % less memory, but `containers` 6 % more
 * time. */
#define HUGE_FROM (32 * MIB)

/* The end of the first whole huge page behind `from`, if it is to be made present now. 0 if none is wanted now, it ends beyond
 * `most`, or is not near: small pages come before it first, so that little more than one is present ahead. */
uintptr_t huge_end_locked(uintptr_t from, uintptr_t most);

/* Makes [from, end) present, whose last HUGE_PAGE bytes become a huge page if the kernel has one. False if it is refused. Any
 * thread, without the lock. */
bool huge_populate(uintptr_t from, uintptr_t end);

/* Whether the heap may have huge pages that were asked for. Any thread, without the lock. */
extern HIDDEN _Atomic bool huge_were_given;

/* Whether the kernel's setting, for the system and for this process, lets it have huge pages; true also where that is not
 * known. Asks the kernel, unless the process is shut in. Without the lock. */
bool huge_allowed(void);

#endif
