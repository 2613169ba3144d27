/* SPDX-License-Identifier: MIT */
/*
 * Address space for spans: the brk heap first, mapped regions where brk is blocked or refused; and memory for
 * the allocator's own data. A region is a contiguous range of units with one `struct span` (span.h) and two bits that say how
 * long it has been free for each, kept apart from it so that a program's overflow cannot reach them.
 *
 * R1 regions are only ever added; base, spans, dirty and home never change, so region_find needs no lock.
 * R2 units [0, frontier) are spans; [frontier, mapped) are ours, never handed out and zero.
 * R3 the brk region never shrinks past memory that another caller of sbrk obtained.
 *
 * All but region_find, region_meta and region_each_own are called with the span lock held.
 */
#ifndef MYALLOC_REGION_H
#define MYALLOC_REGION_H

#include "base/base.h"
#include "kit/lock.h"
#include "heap/span_types.h"

#define HOME_WORDS (UNIT / BLOCK_ALIGN / 64)

/* Which of 64 units are free and dirty, by their age (span_sweep.h). A unit that is in use or clean has neither bit. Both words
 * lie side by side, so that those of a small heap are in one page. */
struct dirty_word {
    uint64_t fresh, old; /* freed since the last sweep came by; before that */
};

struct region {
    uintptr_t base;
    size_t max_units; /* what spans and dirty have room for */
    _Atomic size_t frontier, mapped; /* units */
    struct span *spans;
    struct dirty_word *dirty; /* one for 64 units: set if they are free and may hold anything but zeros */
    uint64_t *home;        /* HOME_WORDS a unit: bits for spans of so many blocks that the span has no room (span_home) */
    uintptr_t warm;        /* pages up to here were made present ahead of use */
    size_t covered;        /* units for which span structures and unit map entries are writable */
    size_t charged;        /* units for which own data is charged: the most that were ever mapped */
    size_t foreign;        /* units of other callers of sbrk, between ours */
    size_t lost;           /* bytes taken but lying on no whole unit of ours */
};

#define REGIONS_MAX 256
extern HIDDEN struct region regions[REGIONS_MAX]; /* regions[0] is the brk heap */
extern HIDDEN _Atomic unsigned region_count;

/* Sets up the brk heap's bookkeeping and the unit map. False if the OS refuses; may be tried again. */
bool region_init(void);

struct region *region_find_slow(uintptr_t addr);

/* The region that `addr` lies in, or NULL. Any thread, any time. */
static inline struct region *region_find(const void *p) {
    struct region *heap = &regions[0];
    if (LIKELY((uintptr_t)p - heap->base < heap->mapped << UNIT_SHIFT))
        return heap;
    return region_find_slow((uintptr_t)p);
}

/* Makes sure that `units` lie between frontier and mapped. If the heap could only go on behind foreign memory, the
 * frontier has moved there and *left units from the old frontier on are left behind (otherwise *left is 0). False if
 * refused. */
bool region_grow(struct region *region, size_t units, size_t *left);

/* Adds a mapped region of at least `units`. NULL if refused. */
struct region *region_add(size_t units);

/* What hugepages and populate ask for, done to memory that the OS has just given. */
void region_prepare(void *addr, size_t bytes);

/* Gives the units from `first` on back to the OS by moving the break down; keeps `pad` bytes. Returns the bytes given
 * back; 0 if foreign memory lies above or the region is no brk heap. */
size_t region_shrink(struct region *region, size_t first, size_t pad);

/* Zeroed memory for the allocator's own data, never given back. NULL if refused. Any thread; takes LOCK_META. */
void *region_meta(size_t bytes);

/* That lies in pieces, each of which begins so; tools read them, too (observe/structures.h). */
struct region_chunk {
    struct region_chunk *next;
    size_t bytes;
};
extern HIDDEN _Atomic(struct region_chunk *) region_chunks;

/* True if `p` lies in memory of region_meta. */
bool region_is_meta(const void *p);

/* What regions have taken from the OS, all of it charged (budget.h). `own` is the OS pages of span
 * structures, dirty bits, home bits and unit map entries for all units that were ever mapped, and what was lost to
 * alignment. */
struct region_totals {
    size_t heap, heap_peak; /* bytes of units mapped now, and the most there were */
    size_t own;
};
void region_count_bytes(struct region_totals *totals);

/* Calls `see` with each range that own data of regions or of region_meta lie in, but for those that own_each (kit/own.h) knows.
 * Takes no lock. */
void region_each_own(void (*see)(const void *start, size_t bytes, void *data), void *data);

/* Names what was there before the environment could be read (kit/name.h), if names are wanted. From a constructor. */
void region_name_early(void);

/* Looks whether R1-R3 hold for a region. */
struct walk;
void region_walk(struct walk *walk, const struct region *region);

extern HIDDEN const struct lock_set region_locks;

#endif
