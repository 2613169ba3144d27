/* SPDX-License-Identifier: MIT */
/*
 * All locks of the allocator at once, in the order of their ranks: for fork, which must find every structure whole, and for
 * walks over everything. The thread that holds them may go on allocating: its own acquire and release do nothing meanwhile.
 */
#ifndef MYALLOC_ALL_LOCKS_H
#define MYALLOC_ALL_LOCKS_H

/* Takes all locks; waits until every other thread has left the allocator. Caller holds none. */
void all_locks_acquire(void);

/* Lets all go. */
void all_locks_release(void);

/* In a forked child instead of the release: each module puts right what threads that are gone have left in the middle, then
 * all locks are made new. */
void all_locks_reset(void);

#endif
