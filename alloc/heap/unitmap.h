/* SPDX-License-Identifier: MIT */
/*
 * Address -> class of the small blocks that lie there: one flat table with a 16-bit entry a unit, read without
 * a lock by every free. The entry is the byte offset of the class's list in the thread cache; 0 means "no small block
 * of up to 16 KiB": larger blocks, foreign memory, NULL.
 *
 * U1 an entry is not 0 exactly while its unit belongs to a span of small blocks of a class below FAST_CLASSES and such spans
 *    are shown (span_show).
 * U2 an index at or above `limit` is never looked up; all below it can be read. `shared_limit` is no higher.
 *
 * The table covers a window of addresses from `base` on, a unit before the heap's start. It is a strip (kit/strip.h): 1 GiB of
 * addresses at first, which are 128 KiB of table, and more when a region lies beyond. It grows in place, so `base` and `table`
 * stay and only `limit` rises. Regions are placed so that they lie in the window (region_place.c); what lies outside is found
 * through its region, correctly but slowly.
 *
 * Rejected: a table of all of user space, 16 GiB of reserved addresses. RLIMIT_AS counts them, also one that the program sets
 * for itself later, and mlockall has the kernel make 32 MiB of page tables for them, which takes 2 s. A two-level table would
 * need a second dependent load in every free.
 */
#ifndef MYALLOC_UNITMAP_H
#define MYALLOC_UNITMAP_H

#include "base/base.h"

struct unitmap {
    uintptr_t base; /* address of unit 0 */
    size_t limit;   /* entries; 0 until unitmap_place */
    uint16_t *table;
    uint64_t mark;  /* what the second word of a free block holds (heap/mark.h): here, because free reads all four */
    size_t shared_limit; /* for calls that may be somebody else's (api/new.c): 0 until it is known that they are ours */
};

extern HIDDEN struct unitmap unitmap;

/* Index of the unit at `p`. The rotation carries low address bits that must be 0 to the top, so a pointer that is not
 * 16-byte aligned lands beyond every limit, and one test refuses foreign, absurd and misaligned pointers. */
static inline size_t unitmap_index(const void *p) {
    uintptr_t distance = (uintptr_t)p - unitmap.base;
    return (distance >> 4 | distance << 60) >> (UNIT_SHIFT - 4);
}

/* The entry for `p`, 0 if it is out of range. */
static inline unsigned unitmap_find(const void *p) {
    size_t index = unitmap_index(p);
    return LIKELY(index < unitmap.limit) ? unitmap.table[index] : 0;
}

/* Bytes of address space that the table needs to grow. */
size_t unitmap_place_bytes(void);

/* Reserves the table, at `place` if that is not NULL and the OS agrees. False if refused; may be tried again. */
bool unitmap_init(char *place);

/* Puts the window: units from `start` on, a multiple of UNIT, lie in it. Only while nothing is registered. */
void unitmap_place(uintptr_t start);

/* Makes the entries for [addr, addr + bytes) writable, those of them that the table can reach: what it cannot reach now is left
 * out for good. Must precede unitmap_set there. False if refused. */
bool unitmap_cover(uintptr_t addr, size_t bytes);

/* Sets the entries of `units` units from `addr` on. Those outside the window are left out. */
void unitmap_set(uintptr_t addr, size_t units, unsigned entry);

/* Raises shared_limit to the limit. */
void unitmap_share(void);

#endif
