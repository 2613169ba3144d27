/* SPDX-License-Identifier: MIT */
/*
 * All locks of the allocator at once, in the order of their ranks: for fork, which must find every structure whole, and for
 * walks over everything. The thread that holds them may go on allocating: its own acquire and release do nothing meanwhile.
 *
 * The caller of fork may be a signal's handler and hold some already: those that its thread had when the signal interrupted it.
 * It cannot let them go while it waits, so whoever waits for such a thread may wait for ever, if that one waits for him. They
 * stay as they are, in the child of a fork too, where the thread goes on and lets them go; what else there is to do in that
 * child is done then.
 *
 * A fork that finds a lock held for too long goes without it. Its child may find what that lock guards half changed: it is
 * served apart for good (heap/aside.h), all threads of it.
 */
#ifndef MYALLOC_ALL_LOCKS_H
#define MYALLOC_ALL_LOCKS_H

#include "base/base.h"

/* True if this thread holds a lock: then the caller is the handler of a signal that has interrupted the allocator. Not between
 * all_locks_acquire or all_locks_try_fork and the end of that. */
bool all_locks_is_interrupted(void);

/* For walks: takes all locks; waits until every other thread has left the allocator. Caller: holds none. Blocks signals; the
 * result is for the release. */
uint64_t all_locks_acquire(void);

/* Lets them go. */
void all_locks_release(uint64_t signals_before);

/* ---- for fork ----------------------------------------------------------------------------------------------------- */

/* Before and behind all else: lets others know that this thread, if it has been interrupted, will let nothing go. */
void all_locks_fork_begins(void);
void all_locks_fork_ends(void);

/* Takes all locks that this thread has not, and blocks signals. One thread at a time, for libc holds a lock of its own
 * meanwhile. `lets_go`: the caller can let that lock go and try again; then the result is false, and nothing is held, where a
 * thread that was interrupted is in fork, too. */
bool all_locks_try_fork(bool lets_go);

/* Before each try, while nothing is held: lets threads that were interrupted fork first. */
void all_locks_fork_waits(void);

/* Lets go what all_locks_try_fork has taken. */
void all_locks_fork_release(void);

/* In a forked child instead of the release: each module puts right what threads that are gone have left in the middle, then
 * all locks are made new. */
void all_locks_reset(void);

/* The same in the child of a process with one thread, for which no locks were taken. */
void all_locks_reset_alone(void);

#endif
