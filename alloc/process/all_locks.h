/* SPDX-License-Identifier: MIT */
/*
 * All locks of the allocator at once, in the order of their ranks: for fork, and for walks over everything.
 * Until all_locks_release, this thread may use the allocator, and another only what its own lists and the centre's slots serve.
 */
#ifndef MYALLOC_ALL_LOCKS_H
#define MYALLOC_ALL_LOCKS_H

void all_locks_acquire(void);
void all_locks_release(void);

/* In the child of a fork: locks are made new, and what belonged to threads that are gone is put in order. */
void all_locks_reset(void);

#endif
