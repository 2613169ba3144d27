/* SPDX-License-Identifier: MIT */
/*
 * Blocks set aside: memory for a thread that must neither wait for a lock of the allocator nor change its structures. There are
 * two such threads:
 *  - one that is inside pthread_atfork. libc holds a lock then that fork() takes after our handlers have taken ours
 *    (process/README.md, "Locks around fork"); a wait for ours would never end.
 *  - one that calls exit() in the handler of a signal that had interrupted it in the allocator. It never returns to what it was
 *    doing there, so locks that it holds stay held, and what it was changing stays half changed.
 * And there is a process all of whose threads are: the child of a fork that had to go without a lock (process/all_locks.h).
 *
 * Such a thread gets blocks from chunks that no lock guards: a block is cut off by one compare-and-swap, and never used again.
 * What it frees is dropped. Any thread may later use, resize or free such a block, so whoever finds that an address is no other
 * block asks aside_bytes. It costs nothing while no thread is served so: the count of such threads stands in the word of the
 * modes (kit/modes.h), which every slow path looks at.
 *
 * D1 the chunks' memory is counted as the allocator's own (budget.h); their blocks count as no block in the statistics.
 */
#ifndef MYALLOC_ASIDE_H
#define MYALLOC_ASIDE_H

#include "base/base.h"
#include "kit/modes.h"
#include "kit/report.h"

/* From now on, until aside_end, this thread is served apart. May be nested. */
void aside_begin(void);
void aside_end(void);

/* In a forked child that must not meet what another thread was changing: all threads of the process, and of processes that it
 * forks, are served apart for good. */
void aside_begin_for_all(void);

extern HIDDEN bool aside_all; /* after that */

/* True if this thread is served apart. */
static inline bool aside_is_on(void) {
    return modes_any() && (report_thread.aside != 0 || aside_all);
}

/* A block that is zero, aligned to `align`, a power of two. NULL if memory is refused. */
void *aside_alloc(size_t bytes, size_t align);

/* Bytes of the block set aside that starts at `p`; 0 if none does. */
size_t aside_bytes(const void *p);

#endif
