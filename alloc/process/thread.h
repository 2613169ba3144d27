/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a thread, as the allocator sees them: its first use of a list, and its exit. */
#ifndef MYALLOC_THREAD_H
#define MYALLOC_THREAD_H

#include "base/base.h"
#include "heap/cache.h"

/* What the process needs before a first thread can end or fork: once, by whoever comes first. The first use of a list may be
 * long before our constructor: other libraries' constructors may run threads and fork. */
void thread_arrange(void);

/* True until the thread's first slow call. */
static ALWAYS_INLINE bool thread_is_new(void) {
    return cache_self.state == CACHE_NEW;
}

/* For the slow parts of the front, before they use lists: at a thread's first slow call opens its cache and arranges for the
 * cache's end at the thread's exit. Returns true then: all counts of bins have begun anew. libc may allocate meanwhile. */
bool thread_open_slow(void);
static ALWAYS_INLINE bool thread_open(void) {
    return UNLIKELY(thread_is_new()) && thread_open_slow();
}

#endif
