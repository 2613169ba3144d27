/* SPDX-License-Identifier: MIT */
/*
 * Free memory is given back to the OS by sweeps over the bits of units (region.h). A sweep comes by each unit once: what is
 * old is given back, what is fresh becomes old. What is taken meanwhile has neither bit, and cuts and merges of free spans
 * change none. So what is given back has been free since the sweep before, whatever happened beside it; and what is looked at
 * is a bit a unit (a word for a MiB), in order, never a list from its start.
 *
 * Memory is given back without the lock: a piece of a free span is HELD meanwhile, of at most PIECE_UNITS, so that others find
 * the rest. A sweep may be left and gone on with at any time, also by several threads.
 *
 * Taken inside: LOCK_SPANS. decay.h says when; span.h, span_purge, is a sweep that takes all.
 */
#ifndef MYALLOC_SPAN_SWEEP_H
#define MYALLOC_SPAN_SWEEP_H

#include "base/base.h"

/* How far a sweep has come; zero at its start. Changed under LOCK_SPANS. */
struct sweep {
    unsigned region;
    size_t at;   /* the next unit of the region */
    size_t head; /* the free span that was met last, if it is still one */
    size_t end;  /* only units of the brk heap before this one; 0: all units of all regions */
    bool all;    /* fresh units go as well */
    bool over;   /* it has come by all units, or the OS has refused */
};

/* Units of a free span that are held at a time: 3 ms of the kernel's work. */
#define PIECE_UNITS (16 * MIB / UNIT)

/* What a part of a sweep may do. Each piece of a free span is at least one call. */
struct sweep_bound {
    size_t calls, bytes;
};

/* Goes on with a sweep until it is over, or has done as much as it may. Returns the bytes that the OS got. */
size_t span_sweep(struct sweep *sweep, struct sweep_bound bound);

/* Gives the memory of a HELD span back to the OS, also where the program has locked it. True if the OS has it, and it reads as
 * zeros. No lock is needed. */
struct span;
bool span_give_back(const struct span *span);

/* Calls `see` with the whole OS pages, if there are any, of each array in which the region has something for units
 * [first, end) that is of no use while they are a free span without memory. span_give_back gives them back, too. */
struct region;
void span_each_unused(const struct region *region, size_t first, size_t end,
                      void (*see)(void *start, size_t bytes, void *data), void *data);

/* Where all memory is locked as it comes (mlockall), what lies beyond a frontier has memory, too, though it was never handed
 * out: gives that back, if span_purge_pages has met locked memory. Caller holds LOCK_SPANS. */
void span_give_beyond_locked(void);

#endif
