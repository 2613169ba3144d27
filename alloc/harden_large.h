/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks that slabs have no room for (rank 18): each on pages of its own, at their end as far as its alignment
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
 * Lock: LOCK_HARDEN, for table work; never over a system call but the table's own growth. Memory refused changes nothing.
 * Where the OS does not let a freed block's place be shut it is unmapped at once, and where it refuses that too the
 * addresses stay, without what was there.
 */
#ifndef MYALLOC_HARDEN_LARGE_H
#define MYALLOC_HARDEN_LARGE_H

#include "base.h"
#include "fault.h"

#define LARGE_HELD_MOST (64 * GIB)

/* Sets up the table. False if the OS refuses. */
bool apart_start(void);

/* A zeroed block of any size and alignment; NULL if refused. */
void *apart_alloc(size_t bytes, size_t align, const char *call, uint32_t stack);

/* True if a block starts at `p`, or one that is in quarantine did. */
bool apart_owns(const void *p);

/* True if `p` lies in the table, which holds addresses of blocks. */
bool apart_is_table(const void *p);

/* As their namesakes in harden_slab.h, for what apart_owns or is the front's to report. */
void apart_free(void *p, const char *call, size_t bytes, size_t align, uint32_t stack);
bool apart_size(const void *p, const char *call, size_t *bytes);
void apart_shrink(void *p, size_t bytes);
enum mcheck_status apart_probe(const void *p, const char *call);
void apart_check(const char *call);

/* Unmaps what is in quarantine. */
void apart_trim(void);

struct apart_totals {
    size_t live, live_blocks; /* as the program asked */
    size_t taken;             /* bytes of the pages of live blocks */
};
void apart_count(struct apart_totals *totals);

/* Looks whether P5 holds. Takes the lock. */
struct walk;
void apart_walk(struct walk *walk);

void apart_fork_acquire(void);
void apart_fork_release(void);
void apart_fork_reset(void);

#endif
