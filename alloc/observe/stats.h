/* SPDX-License-Identifier: MIT */
/*
 * What has become of the memory taken from the OS, counted when asked, never on the way of an allocation. statistics.def
 * lists the numbers and what each one means.
 *
 * N1 live + cached + free + metadata = taken, whenever no thread is inside the allocator. `taken` is the sum that
 *    budget.h keeps, the four others are counted from the structures, so the identity is a check of both.
 * N2 live and live_blocks are what the program would find by adding up malloc_usable_size of its blocks, and their
 *    number; blocks that libc allocated for itself are among them. Under `check` the canaries around blocks are live, too,
 *    and so are freed blocks in quarantine.
 *
 * While other threads run, their lists are read as they stand: numbers are then approximate, but never negative, and the
 * parts of one class always add up. Locks: each structure's own, one after another; the caller holds none.
 */
#ifndef MYALLOC_STATS_H
#define MYALLOC_STATS_H

#include "base/base.h"
#include "base/sizeclass.h"

/* Blocks of one class. */
struct stats_class {
    size_t live, cached, home; /* blocks */
    size_t listed;             /* of those that are cached, on lists of threads */
};

struct stats {
#define STATISTIC(name, group, key) size_t name;
#include "observe/statistics.def"
#undef STATISTIC
    struct stats_class classes[CLASS_COUNT];
    size_t kept, kept_blocks; /* large blocks that threads keep, among those that are cached */
};

/* Counts all anew. */
void stats_read(struct stats *stats);

/* The statistics as a JSON object, as myalloc_stats_json says (myalloc.h). */
size_t stats_json(char *out, size_t room);

/* Writes the JSON where the option stats:WHERE says, when the program ends: to a file descriptor or to a file. Nothing for ""
 * and "0". Errors are told on standard error. */
void stats_write(const char *where);

#endif
