/* SPDX-License-Identifier: MIT */
/*
 * Guarded pages (rank 12): a block on a page of its own between two that cannot be touched, for one allocation in about
 * tunables.sample_interval.
 */
#ifndef MYALLOC_GUARD_H
#define MYALLOC_GUARD_H

#include "base.h"

/* Sets up the pages, once, from watch_start. False if the OS refuses; there are none then. */
bool guard_start(void);

/* A zeroed block of `bytes` (0 allowed) aligned to `align` on a guarded page, if it is this allocation's turn and there is
 * room; else NULL. Caller holds no lock of the allocator. */
void *guard_alloc(size_t bytes, size_t align, const char *call);

/* True if `p` points into the guarded pages, whatever is there. */
bool guard_owns(const void *p);

/* Frees what guard_owns; reports what is no live block's start, or whose size (UNSIZED if not told) or alignment (0) does
 * not fit. */
void guard_free(void *p, const char *call, size_t bytes, size_t align);

/* The size asked for of a live block that starts at `p`. False if there is none, which is reported. */
bool guard_size(const void *p, const char *call, size_t *bytes);

void guard_fork_acquire(void);
void guard_fork_release(void);
void guard_fork_reset(void);

#endif
