/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks (rank 19): where every block comes from under protect:paranoid, but for those on guarded pages and the
 * few from before the environment could be read. harden_slab.h has blocks of up to 32 KiB, harden_large.h larger ones and
 * those for which their class's room is full.
 */
#ifndef MYALLOC_HARDEN_H
#define MYALLOC_HARDEN_H

#include "base.h"
#include "glibc.h"

/* Sets up the regions, once, from watch_start. False if the OS refuses, which is said. */
bool harden_start(void);

/* A zeroed block of `bytes` (0 allowed) aligned to `align`, NULL if the OS refuses; what is in quarantine is given up
 * before. Caller holds no lock. */
void *harden_alloc(size_t bytes, size_t align, const char *call);

/* True if `p` points into memory of small hardened blocks, whatever is there, or is where a large one starts or started. */
bool harden_owns(const void *p);

/* True if `p` lies in memory that small hardened blocks share, or in records that hold addresses of blocks: what is there is
 * no root (reach.h). */
bool harden_is_own(const void *p);

/* Frees a block; reports what is no live block's start, what was written around it, and a size (SIZE_MAX if not told) or
 * alignment (0) that does not fit. Where harden_owns is not true, all there is to it is the report. */
void harden_free(void *p, const char *call, size_t bytes, size_t align);

/* The size asked for of a live block that starts at `p`. False if there is none, which is reported. */
bool harden_size(const void *p, const char *call, size_t *bytes);

/* Makes a live block smaller where it is: for want of memory elsewhere. */
void harden_shrink(void *p, size_t bytes);

/* mprobe(3) for what harden_owns: what is wrong is reported. */
enum mcheck_status harden_probe(const void *p, const char *call);

/* Looks at every block and reports what is wrong. */
void harden_check(const char *call);

/* Gives memory without blocks back to the OS, with `all` what is in quarantine too. Returns the bytes. */
size_t harden_trim(bool all);

struct harden_totals {
    size_t live, live_blocks; /* as the program asked */
    size_t taken;             /* bytes that can be touched */
};
void harden_count(struct harden_totals *totals);

/* Looks whether P1-P3 and P5 hold. */
struct walk;
void harden_walk(struct walk *walk);

void harden_fork_acquire(void);
void harden_fork_release(void);
void harden_fork_reset(void);

#endif
