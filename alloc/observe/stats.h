/* SPDX-License-Identifier: MIT */
/*
 * What has become of the memory taken from the OS, counted when asked, never on the way of an allocation.
 * All numbers are bytes of address space, or say what they count.
 *
 * N1 live + cached + free + metadata = taken, whenever no thread is inside the allocator. `taken` is the sum that
 *    budget.h keeps, the four others are counted from the structures, so the identity is a check of both.
 * N2 live and live_blocks are what the program would find by adding up malloc_usable_size of its blocks, and their
 *    number; blocks that libc allocated for itself are among them. Under `check` what surrounds blocks is live too, and
 *    so are freed blocks that are kept for a while.
 *
 * While other threads run, their lists are read as they stand: numbers are then approximate, but never negative, and the
 * parts of one class always add up.
 */
#ifndef MYALLOC_STATS_H
#define MYALLOC_STATS_H

#include "base/base.h"
#include "base/sizeclass.h"

/* Blocks of one class. */
struct stats_class {
    size_t live, cached, home; /* blocks */
};

struct stats {
    size_t taken, peak;  /* from the OS, now and at most */
    size_t limit;        /* SIZE_MAX: none */
    size_t live, live_blocks;
    size_t cached, cached_blocks; /* listed + parked: free blocks on threads' lists and parked between threads */
    size_t listed, parked;
    size_t free;         /* home + free_spans + tails + unused + around */
    size_t metadata;     /* the allocator's own data: what regions need (region.h), budget_own (budget.h), and what the
                            pages of guarded blocks have beside the block */
    size_t home, home_blocks; /* free, or never cut, blocks in spans of small blocks */
    size_t free_spans, free_span_count; /* whole free spans */
    size_t free_dirty;   /* of these, what the OS has not got back */
    size_t tails;        /* ends of spans, too short for a block */
    size_t unused;       /* taken, but never handed out */
    size_t around;       /* pages of hardened blocks, but for what is live: canaries, free slots, quarantine */
    size_t hardened, hardened_count;    /* live hardened blocks */
    size_t heap, heap_peak;             /* all regions, without metadata */
    size_t large, large_count;          /* large blocks in the heap */
    size_t mapped, mapped_count;        /* blocks with a mapping of their own */
    size_t mapped_peak, mapped_count_peak;
    size_t guarded, guarded_count;      /* blocks on guarded pages, and the bytes asked for; live, but not in the heap */
    size_t samples;                     /* blocks ever put on guarded pages */
    size_t top;          /* free at the top of the brk heap: what malloc_trim could take off it */
    size_t threads;      /* that have lists */
    struct stats_class classes[CLASS_COUNT];
};

void stats_read(struct stats *stats);

/* The statistics as a JSON object, as myalloc_stats_json says. */
size_t stats_json(char *out, size_t room);

/* What `stats:WHERE` asks for when the program ends: nothing for "" and "0". */
void stats_write(const char *where);

#endif
