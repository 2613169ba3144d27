/* SPDX-License-Identifier: MIT */
/*
 * All locks of the allocator at once, in the order of their ranks (rank 25): for fork, and for walks over everything.
 * Until world_go, this thread may use the allocator, and another only what its own lists and the centre's slots serve.
 */
#ifndef MYALLOC_WORLD_H
#define MYALLOC_WORLD_H

void world_stop(void);
void world_go(void);

/* In the child of a fork: locks are made new, and what belonged to threads that are gone is put in order. */
void world_begin(void);

#endif
