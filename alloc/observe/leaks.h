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
};

/* Arranges the report at exit, if the mode is on. To be called from a constructor, before the program registers functions for
 * its exit. */
void leaks_arrange(void);

/* The same, before anything else is arranged for the end of the process: the exit status, if leaks_exit asks for one, is set
 * when all else has been done. */
void leaks_arrange_status(void);

/* front_watched.c calls these while MODE_LEAKS is on, under no lock of the allocator: after a block is allocated, and before it
 * is free. */
void leaks_allocated(const void *p, size_t bytes);
/* Takes the record away and returns it, so that a realloc can put it back if it is refused. */
struct leaks_record leaks_freeing(const void *p);
void leaks_put_back(const struct leaks_record *record);

/* Calls `see` with each block that has a record, and how many bytes the program asked for. Under LOCK_LEAKS. */
void leaks_each(void (*see)(const void *block, size_t asked, void *data), void *data);

/* Writes the report. What the caller's registers hold is seen. */
void leaks_report(void);

extern HIDDEN const struct lock_set leaks_locks;

#endif
