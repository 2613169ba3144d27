/* SPDX-License-Identifier: MIT */
/*
 * What is live, cached, free and metadata (rank 13), counted when asked, never on the way of an allocation.
 * N1 live + cached + free + overhead = taken, in bytes of address space, when no thread is inside the allocator.
 */
#ifndef MYALLOC_STATS_H
#define MYALLOC_STATS_H

#include "base.h"

struct stats {
    size_t live;         /* blocks in use by the program, with the rounding of their sizes */
    size_t live_blocks;  /* their number */
    size_t cached;       /* blocks on threads' lists and parked between threads */
    size_t home;         /* free blocks in spans that are partly in use */
    size_t free;         /* whole free spans, and the heap beyond the frontier */
    size_t free_dirty;   /* of these, what the OS has not got back */
    size_t overhead;     /* tails of spans, too short for a block */
    size_t heap;         /* regions: brk heap and arenas */
    size_t mapped;       /* blocks with a mapping of their own */
    size_t mapped_count;
    size_t top;          /* what lies beyond the frontier of the brk heap */
    size_t taken;        /* heap + mapped */
};

void stats_read(struct stats *stats);

#endif
