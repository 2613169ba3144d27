/* SPDX-License-Identifier: MIT */
/*
 * Guarded pages: a block on pages of its own between two that cannot be touched, for one allocation in about
 * tunables.sample_interval. What a program writes or reads beyond such a block, or after it was freed, faults at once; who
 * allocated and who freed it is on record.
 *
 * The pages are those of slots (guarded_pool.h). A block stands at random at the start of its pages or at their end, where
 * alignment may leave up to 15 bytes; the rest of the pages is a canary that is looked at when the block is freed. Freed, its
 * pages are given back to the OS and cannot be touched until the slot's next turn.
 *
 * G2 live blocks, their bytes and pages are counted; the pages are charged (budget.h), and with all records they are at most
 *    tunables.sample_memory.
 * G3 a LIVE slot's block lies in its pages, aligned as asked.
 *
 * What the OS refuses leads to fewer guarded blocks and to nothing else.
 *
 * Lock: LOCK_GUARDED, inside; never held while a call stack is taken or a fault is told.
 */
#ifndef MYALLOC_GUARDED_H
#define MYALLOC_GUARDED_H

#include "base/base.h"
#include "kit/lock.h"
#include "protect/protection.h"

#define GUARDED_BYTES_MOST (8 * OS_PAGE)

/* Sets up the pages, once, from mode_start. False if the OS refuses; there are none then. */
bool guarded_start(void);

/* True if `p` points into the guarded pages, whatever is there. */
bool guarded_owns(const void *p);

/* What is known of the block that lies nearest to an address of guarded pages, freed ones included. False if there is none.
 * Takes no lock, so that a fault handler can ask: what other threads do at the moment may be half seen. */
bool guarded_near(const void *p, struct fault_block *block);

/* What is live, for tools (observe/structures.h). */
extern HIDDEN struct protection_totals guarded_live;

extern HIDDEN const struct protection guarded_protection;
extern HIDDEN const struct lock_set guarded_locks;

#endif
