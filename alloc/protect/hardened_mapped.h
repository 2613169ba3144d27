/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks that are too large for slabs, or whose class has no slab left: each on pages of its own, at their end as
 * far as its alignment allows, between ranges of random length that cannot be touched:
 *
 *     | reserved | canary | the program's bytes, exactly what it asked for | canary, less than the alignment | reserved |
 *
 * What is known of it is in a table far away. A freed block's pages go back to the OS and nothing else is put in their place
 * until as many others were freed as its quarantine holds (quarantine.h), or their addresses are LARGE_HELD_MOST.
 *
 * P5 each record is found by its block's start, and its ranges lie in each other as above; totals are their sums.
 * P6 the canaries of live blocks are what was written, or the program wrote there.
 *
 * Lock: LOCK_HARDENED, for table work; never over a system call but the table's own growth. Memory refused changes nothing.
 * Where the OS does not let a freed block's pages be decommitted they are unmapped at once, and where it refuses that too the
 * addresses stay, without what was there.
 */
#ifndef MYALLOC_HARDENED_MAPPED_H
#define MYALLOC_HARDENED_MAPPED_H

#include "base/base.h"
#include "kit/lock.h"
#include "protect/protection.h"

#define LARGE_HELD_MOST (64 * GIB)

/* Sets up the table. False if the OS refuses. */
bool hardened_mapped_start(void);

/* The table of records, each of which begins with its struct pages, and what is live, for tools (observe/structures.h). */
struct address_map;
extern HIDDEN struct address_map hardened_mapped_table;
extern HIDDEN struct protection_totals hardened_mapped_live;

extern HIDDEN const struct protection hardened_mapped_protection;
extern HIDDEN const struct lock_set hardened_mapped_locks;

#endif
