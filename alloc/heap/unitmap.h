/* SPDX-License-Identifier: MIT */
/*
 * Address -> class of the small blocks that lie there: one flat table with a 16-bit entry a unit, read without
 * a lock by every free. The entry is the byte offset of the class's list in the thread cache; 0 means "no small block
 * of up to 16 KiB": larger blocks, foreign memory, NULL.
 *
 * U1 an entry is not 0 exactly while its unit belongs to a span of small blocks of a class below FAST_CLASSES and such spans are
 *    shown (span_show).
 * U2 an index at or above `limit` is never looked up.
 *
 * The table covers all of user space: 16 GiB of reserved address space, read-only but where units are registered, so it
 * costs memory only there. Where RLIMIT_AS does not allow that, it covers a window that starts at the heap; what lies
 * outside is found through its region, correctly but slowly. A two-level table would need a second dependent load in
 * every free.
 */
#ifndef MYALLOC_UNITMAP_H
#define MYALLOC_UNITMAP_H

#include "base/base.h"

struct unitmap {
    uintptr_t base; /* address of unit 0 */
    size_t limit;   /* entries; 0 until unitmap_init */
    uint16_t *table;
    uint64_t mark;  /* what the second word of a free block holds (heap/mark.h): here, because free reads all four */
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

/* Reserves the table; `heap` is where the heap will start. False if there is not even address space for a window. */
bool unitmap_init(uintptr_t heap);

/* Makes the entries for [addr, addr + bytes) writable. Must precede unitmap_set there. */
bool unitmap_cover(uintptr_t addr, size_t bytes);

/* Sets the entries of `units` units from `addr` on. Those outside the window are left out. */
void unitmap_set(uintptr_t addr, size_t units, unsigned entry);

/* Gives back what lies outside a window of `bytes` from `heap` on, after RLIMIT_AS was lowered. Only while the process
 * has one thread. True if something was given back. */
bool unitmap_shrink(uintptr_t heap, size_t bytes);

#endif
