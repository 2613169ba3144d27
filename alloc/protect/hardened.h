/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks: where every block comes from under protect:paranoid, but for those on guarded pages and the
 * few from before the environment could be read. hardened_slab.h has blocks of up to 32 KiB, hardened_mapped.h larger ones and
 * those for which their class's room is full.
 */
#ifndef MYALLOC_HARDENED_H
#define MYALLOC_HARDENED_H

#include "base/base.h"
#include "base/glibc.h"

/* Sets up the regions, once, from mode_start. False if the OS refuses, which is said. */
bool hardened_start(void);

/* A zeroed block of `bytes` (0 allowed) aligned to `align`, NULL if the OS refuses; what is in quarantine is given up
 * before. Caller holds no lock. */
void *hardened_alloc(size_t bytes, size_t align, const char *call);

/* True if `p` points into memory of small hardened blocks, whatever is there, or is where a large one starts or started. */
bool hardened_owns(const void *p);

/* True if `p` lies in memory that small hardened blocks share, or in records that hold addresses of blocks: what is there is
 * no root (reachable.h). */
bool hardened_is_own(const void *p);

/* Frees a block; reports what is no live block's start, what was written around it, and a size (SIZE_MAX if not told) or
 * alignment (0) that does not fit. Where hardened_owns is not true, all there is to it is the report. */
void hardened_free(void *p, const char *call, size_t bytes, size_t align);

/* The size asked for of a live block that starts at `p`. False if there is none, which is reported. */
bool hardened_size(const void *p, const char *call, size_t *bytes);

/* Makes a live block smaller where it is: for want of memory elsewhere. */
void hardened_shrink(void *p, size_t bytes);

/* mprobe(3) for what hardened_owns: what is wrong is reported. */
enum mcheck_status hardened_probe(const void *p, const char *call);

/* Looks at every block and reports what is wrong. */
void hardened_check(const char *call);

/* Gives memory without blocks back to the OS, with `all` what is in quarantine too. Returns the bytes. */
size_t hardened_trim(bool all);

struct hardened_totals {
    size_t live, live_blocks; /* as the program asked */
    size_t taken;             /* bytes that can be touched */
};
void hardened_count(struct hardened_totals *totals);

/* Looks whether P1-P3 and P5 hold. */
struct walk;
void hardened_walk(struct walk *walk);


#endif
