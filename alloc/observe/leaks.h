/* SPDX-License-Identifier: MIT */
/*
 * What is still allocated when the program ends, and who allocated it. While MODE_LEAKS is on, each block has
 * a record of its size and its call stack, in a table apart from the blocks. At exit, reachable.h tells what nothing
 * points to any more; that is printed, grouped by call stack, the largest sum first, and the rest counted. With leaks:2
 * the rest is listed as well.
 *
 * E1 a record is taken away before its block is free and entered after the block is handed out, so an address has at
 *    most one, whatever threads do.
 * E2 a block without a record (from before the mode was on, or because memory for records was refused) is never reported;
 *    refusals are counted and told.
 *
 * Lock: LOCK_LEAKS, held for table work alone, but for the table's growth.
 */
#ifndef MYALLOC_LEAKS_H
#define MYALLOC_LEAKS_H

#include "base/base.h"
#include "kit/lock.h"

struct leaks_record {
    uintptr_t block; /* the key of the table (base/address_map.h); 0: no record */
    size_t bytes;    /* as the program asked */
    uint32_t stack;  /* stacks.h; 0: unknown */
    bool own;        /* the unwinder's, not the program's: may hold other blocks, but is not reported */
};

/* Arranges the report at exit, if the mode is on; from a constructor. */
void leaks_arrange(void);

/* What front_watched.c tells while MODE_LEAKS is on; under no lock of the allocator. */
void leaks_allocated(const void *p, size_t bytes);
/* The record is taken away and returned, for a realloc to put back if it is refused. */
struct leaks_record leaks_freeing(const void *p);
void leaks_put_back(const struct leaks_record *record);

/* Writes the report to standard error. What the caller keeps in registers must be in its frame. */
void leaks_report(void);

extern HIDDEN const struct lock_set leaks_locks;

#endif
