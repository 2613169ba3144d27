/* SPDX-License-Identifier: MIT */
/*
 * Where the allocator's own data lie: the ranges of addresses that budget_map, budget_reserve's users and strips have, so that
 * their memory can be told (observe/resident.h). Only ranges are noted, not what of them is in use. Users that have any number
 * of pieces, and find them by a list of their own, note none of them (budget_map_piece).
 *
 * No lock: an entry is taken by one compare-and-swap. More than OWN_MOST are not noted; a process has at most some fifteen.
 */
#ifndef MYALLOC_OWN_H
#define MYALLOC_OWN_H

#include "base/base.h"

#define OWN_MOST 24
#define OWN_FIRST 5 /* what a program has that asks for nothing special: three strips, the table of mapped blocks, its next */

/* Where they are noted; tools read it too (observe/structures.h). */
struct own_range {
    _Atomic uintptr_t start; /* 0: empty */
    _Atomic size_t bytes;    /* 0 for a moment, where the range has just been noted */
};
extern HIDDEN struct own_range own_first[OWN_FIRST], own_further[OWN_MOST - OWN_FIRST];

/* The range begins at `start` and has so many bytes, from now on: a new one, or one that is noted already and has grown. */
void own_note(const void *start, size_t bytes);
void own_forget(const void *start);

/* Calls `see` with each range. */
void own_each(void (*see)(const void *start, size_t bytes, void *data), void *data);

#endif
