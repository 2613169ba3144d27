/* SPDX-License-Identifier: MIT */
/*
 * The checks behind mcheck(), MALLOC_CHECK_ and MYALLOC_OPTIONS=check:N. A checked block lies in a plain one (plain.h):
 *
 *     | canary (16 bytes, or the alignment) | the program's bytes, exactly what it asked for | canary (16 to 23 bytes) |
 *
 * What is known about it (size, call and callers of its allocation and of its free) is in a record far from it
 * (check_records.h). A freed block stays in quarantine, filled with a pattern, until newer ones push it out. Blocks from before
 * the checks were turned on are plain ones; they are not checked, but when they are freed they go to the quarantine, too.
 *
 * H2 the canaries of every block that has its memory hold what was written, or the program wrote there.
 * H3 the quarantine holds the FREED records, in the order of their frees; those that still have their memory hold the
 *    pattern, or the program wrote there. They are at most QUARANTINE_BLOCKS and their bytes at most QUARANTINE_BYTES.
 *
 * The canaries' secret is a constant: the checks find errors, they do not keep attackers out. No byte of a canary is NUL, so
 * that a string's end written over one is found, too. Freed blocks above QUARANTINE_LARGE give their memory back at once and
 * leave the record, so that a second free is still told. Memory refused for a record is memory refused for the block: there is
 * none without.
 *
 * Lock: LOCK_CHECK; it is never held while the program's abort function runs, a call stack is taken, or a plain block is
 * allocated, resized or freed.
 */
#ifndef MYALLOC_CHECK_H
#define MYALLOC_CHECK_H

#include "base/base.h"
#include "base/glibc.h"
#include "kit/lock.h"
#include "protect/protection.h"

#define QUARANTINE_BYTES (4 * MIB)
#define QUARANTINE_LARGE (1 * MIB)
#define QUARANTINE_BLOCKS 16384

/* mcheck(3): the function that is told of faults instead of a message and an end, NULL for those; and whether every call is
 * to look at all blocks, once that was asked for. */
void check_set_handler(void (*handler)(enum mcheck_status), bool pedantic);
bool check_is_pedantic(void);

/* Calls `see` with the plain block of each checked block that has memory, and how many of its bytes the program asked for: 0
 * if it is freed and in quarantine. Under LOCK_CHECK. */
void check_each(void (*see)(const void *plain, size_t asked, void *data), void *data);

extern HIDDEN const struct protection check_protection;
extern HIDDEN const struct lock_set check_locks;

#endif
