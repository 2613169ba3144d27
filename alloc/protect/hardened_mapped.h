/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks that slabs have no room for: each on pages of its own, at their end as far as its alignment
 * allows, between ranges of random length that cannot be touched:
 *
 *     | shut | canary | the program's bytes, exactly what it asked for | canary, less than the alignment | shut |
 *
 * What is known of it is in a table far away. A freed block's pages go back to the OS and nothing else is put in their place
 * until as many others were freed as its quarantine holds (quarantine.h), or their addresses are LARGE_HELD_MOST.
 *
 * P5 each record is found by its block's start, and its ranges lie in each other as above; totals are their sums.
 * P6 the canaries of live blocks are what was written, or the program wrote there.
 *
 * Lock: LOCK_HARDENED, for table work; never over a system call but the table's own growth. Memory refused changes nothing.
 * Where the OS does not let a freed block's place be shut it is unmapped at once, and where it refuses that too the
 * addresses stay, without what was there.
 */
#ifndef MYALLOC_HARDENED_MAPPED_H
#define MYALLOC_HARDENED_MAPPED_H

#include "base/base.h"
#include "kit/lock.h"
#include "protect/fault.h"

#define LARGE_HELD_MOST (64 * GIB)

/* Sets up the table. False if the OS refuses. */
bool hardened_mapped_start(void);

/* A zeroed block of any size and alignment; NULL if refused. */
void *hardened_mapped_alloc(size_t bytes, size_t align, const char *call, uint32_t stack);

/* True if a block starts at `p`, or one that is in quarantine did. */
bool hardened_mapped_owns(const void *p);

/* True if `p` lies in the table, which holds addresses of blocks. */
bool hardened_mapped_is_table(const void *p);

/* As their namesakes in hardened_slab.h, for what hardened_mapped_owns or is the front's to report. */
void hardened_mapped_free(void *p, const char *call, size_t bytes, size_t align, uint32_t stack);
bool hardened_mapped_size(const void *p, const char *call, size_t *bytes);
void hardened_mapped_shrink(void *p, size_t bytes);
enum mcheck_status hardened_mapped_probe(const void *p, const char *call);
void hardened_mapped_check(const char *call);

/* Unmaps what is in quarantine. */
void hardened_mapped_trim(void);

struct hardened_mapped_totals {
    size_t live, live_blocks; /* as the program asked */
    size_t taken;             /* bytes of the pages of live blocks */
};
void hardened_mapped_count(struct hardened_mapped_totals *totals);

/* Looks whether P5 holds. Takes the lock. */
struct walk;
void hardened_mapped_walk(struct walk *walk);

extern HIDDEN const struct lock_set hardened_mapped_locks;

#endif
