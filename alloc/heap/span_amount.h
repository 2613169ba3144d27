/* SPDX-License-Identifier: MIT */
/*
 * How much free memory may be dirty, whatever its age: for a program that frees most of what it has and then calls nothing, so
 * that no sweep comes by. What is more goes back to the OS at the free itself (span_return.c).
 *
 * What may stay is a part of what is in use, and what was learned. A program that goes up and down wants back what it has
 * freed; then giving it back was wrong, and what is wanted within WANTED_MS, of the free or of what was wanted before, is
 * learned: so much more may stay from now on. Such a program pays once for each height. What then stays in vain becomes old; it
 * is given back by a sweep, and forgotten. (The ski-rental problem: who does not know for how long, rents until that has cost
 * as much as to buy.)
 *
 * What is given back and wanted again costs a fault a page, 1.2 us. So that a short program which goes up and down loses no
 * more than half a hundredth of its time by it, so much goes at most: CREDIT_MS units for each ms that the process has had. A
 * heap that was emptied may go beyond that, in all by no more than the heap had once: most such programs need no more for long,
 * or end, and who fills it again pays at most as much as to fill it first. If it was large, hardly anything stays; of a smaller
 * one STAYS_LEAST, as short programs go up and down by so much.
 *
 * Numbers are of units, and under LOCK_SPANS.
 */
#ifndef MYALLOC_SPAN_AMOUNT_H
#define MYALLOC_SPAN_AMOUNT_H

#include "heap/region.h"

/* How many dirty free units the caller is to give back now; 0 as long as that is not worth a call. */
size_t span_amount_take_excess_locked(void);

/* The caller, who had taken so many, has given `units` back. */
void span_amount_given_locked(size_t taken, size_t units);

/* Units are about to be taken. */
void span_amount_wanted_locked(const struct region *region, size_t first, size_t units);

/* A sweep has given so many old units back. */
void span_amount_forget_locked(size_t units);

/* In a child: what other threads were about to give back stays. */
void span_amount_forked(void);

#endif
