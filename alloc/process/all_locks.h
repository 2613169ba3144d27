/* SPDX-License-Identifier: MIT */
/*
 * All locks of the allocator at once, in the order of their ranks: for fork, which must find every structure whole, and for
 * walks over everything. The thread that holds them may go on allocating: its own acquire and release do nothing meanwhile.
 *
 * A caller that is a signal's handler may hold some already: those that its thread had when the signal interrupted it. They
 * stay as they are, in the child of a fork too, where the thread goes on and lets them go; what else there is to do in that
 * child is done then.
 */
#ifndef MYALLOC_ALL_LOCKS_H
#define MYALLOC_ALL_LOCKS_H

#include "base/base.h"

/* True if this thread holds a lock: then the caller is the handler of a signal that has interrupted the allocator. Not between
 * all_locks_acquire and the end of that. */
bool all_locks_is_interrupted(void);

/* Takes all locks that this thread has not; waits until every other thread has left the allocator. */
void all_locks_acquire(void);

/* Lets them go. */
void all_locks_release(void);

/* In a forked child instead of the release: each module puts right what threads that are gone have left in the middle, then
 * all locks are made new. */
void all_locks_reset(void);

/* The same in the child of a process with one thread, for which no locks were taken. */
void all_locks_reset_alone(void);

#endif
