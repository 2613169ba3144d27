/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks (rank 12): where every block comes from under protect:paranoid.
 */
#ifndef MYALLOC_HARDEN_H
#define MYALLOC_HARDEN_H

#include "base.h"

/* Sets up the regions, once, from watch_start. False if the OS refuses. */
bool harden_start(void);

/* A zeroed block of `bytes` (0 allowed) aligned to `align`, NULL if the OS refuses. Caller holds no lock. */
void *harden_alloc(size_t bytes, size_t align, const char *call);

/* True if `p` points into memory of hardened blocks, whatever is there. */
bool harden_owns(const void *p);

/* Frees what harden_owns; reports what is no live block's start, what was written beyond it, and a size (UNSIZED if not
 * told) or alignment (0) that does not fit. */
void harden_free(void *p, const char *call, size_t bytes, size_t align);

/* The size asked for of a live block that starts at `p`. False if there is none, which is reported. */
bool harden_size(const void *p, const char *call, size_t *bytes);

void harden_fork_acquire(void);
void harden_fork_release(void);
void harden_fork_reset(void);

#endif
