/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a thread, as the allocator sees them: its first use of a list, and its exit. */
#ifndef MYALLOC_THREAD_H
#define MYALLOC_THREAD_H

/* What the process needs before a first thread can end or fork: once, by whoever comes first. The first use of a list may be
 * long before our constructor: other libraries' constructors may run threads and fork. */
void thread_arrange(void);

#endif
