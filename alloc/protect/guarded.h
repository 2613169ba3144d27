/* SPDX-License-Identifier: MIT */
/*
 * Guarded pages: a block on pages of its own between two that cannot be touched, for one allocation in about
 * tunables.sample_interval. What a program writes or reads beyond such a block, or after it was freed, faults at once; who
 * allocated and who freed it is on record.
 *
 * The pages are those of slots: of 1, 2, 4 or 8 pages each, with an untouchable one behind it, whose records lie apart. A
 * block stands at random at the start of its pages or at their end, where alignment may leave up to 15 bytes; the rest of
 * the pages holds a pattern that is looked at when the block is freed. Freed, its pages are given back to the OS and cannot
 * be touched until the slot's next turn: slots never used come first, then the one that was freed longest ago. There are
 * about three slots for each page that may be in use.
 *
 * G1 of each size, the slots up to `used` are LIVE or FREED and the rest UNUSED; the FREED ones are on the size's list, once.
 * G2 live blocks, their bytes and pages are counted; the pages are charged (budget.h), and with all records they are at most
 *    tunables.sample_memory.
 * G3 a LIVE slot's block lies in its pages, aligned as asked.
 *
 * Pages are guarded by MADV_GUARD_INSTALL, which needs no mapping a page, or where the kernel has it not by mprotect, for at
 * most GUARDED_MAPPED_MOST slots. What the OS refuses leads to fewer guarded blocks and to nothing else.
 *
 * Lock: LOCK_GUARDED, inside; never held while a call stack is taken or a fault is told.
 */
#ifndef MYALLOC_GUARDED_H
#define MYALLOC_GUARDED_H

#include "base/base.h"
#include "kit/lock.h"
#include "protect/protection.h"

#define GUARDED_MAPPED_MOST 4096
#define GUARDED_BYTES_MOST (8 * OS_PAGE)

/* Sets up the pages, once, from mode_start. False if the OS refuses; there are none then. */
bool guarded_start(void);

/* True if `p` points into the guarded pages, whatever is there. */
bool guarded_owns(const void *p);

/* What is known of the block that lies nearest to an address of guarded pages, freed ones included. False if there is none.
 * Takes no lock, so that a fault handler can ask: what other threads do at the moment may be half seen. */
bool guarded_near(const void *p, struct fault_block *block);

extern HIDDEN const struct protection guarded_protection;
extern HIDDEN const struct lock_set guarded_locks;

#endif
