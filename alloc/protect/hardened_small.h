/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks of up to HARDENED_SMALL_MOST bytes. Each size class has a range of address space of its own, with a
 * random base; all ranges are one reservation that cannot be touched. A range is cut into slabs; every other slab, as blocks
 * are needed, is opened and holds slots of the class, the slabs between stay shut. (Once half of the mappings that a
 * process may have are in use, slabs are opened side by side.) A block takes a random free slot:
 *
 *     | gap: canary | the program's bytes, exactly what it asked for | canary, SLOT_CANARY bytes at least | slot 1 ...
 *
 * What is known of a slot is in a record far away, between shut pages. Where the ranges, the records and the secrets are is
 * read-only after the start. A freed slot is zeroed, waits in its class's quarantine, and is looked at when it leaves it and
 * when it is used again. Its last bytes keep a canary, so that a write before its neighbour's start is seen. Class 0 is for
 * blocks of no bytes: its slabs are never opened.
 *
 * P1 the free bits of an open slab are the slots that are neither LIVE nor HELD; counts agree with records.
 * P2 a class's list of slabs is those that are open and have a free slot; retired slabs are shut and have no other.
 * P3 what is in quarantine is HELD, each slot once, and nothing else is.
 * P4 slots that are HELD or FREED are zero, canaries are what was written, or the program wrote there.
 *
 * Locks: one a class, LOCK_HARDENED; slabs are opened and shut under it. Memory refused changes nothing.
 */
#ifndef MYALLOC_HARDENED_SMALL_H
#define MYALLOC_HARDENED_SMALL_H

#include "base/base.h"
#include "base/sizeclass.h"
#include "protect/fault.h"

#define SLOT_CANARY 8
#define HARDENED_SMALL_MOST (SMALL_MAX - SLOT_CANARY)

/* Reserves the ranges, less where RLIMIT_AS is short. False if the OS refuses. */
bool hardened_small_start(void);

/* A zeroed block; NULL if refused, if its class's range is full, or if it is too large for slabs. */
void *hardened_small_alloc(size_t bytes, size_t align, const char *call, uint32_t stack);

/* True if `p` points into the ranges, whatever is there. */
bool hardened_small_owns(const void *p);

/* Frees a block of the ranges, as hardened_free. */
void hardened_small_free(void *p, const char *call, size_t bytes, size_t align, uint32_t stack);

/* The size of a live block, without looking at its memory. A fault is told, and the answer false. */
bool hardened_small_size(const void *p, const char *call, size_t *bytes);

/* Makes a live block smaller where it is. */
void hardened_small_shrink(void *p, size_t bytes);

/* Looks at a block as mprobe(3) does, and tells what is wrong. */
enum mcheck_status hardened_small_probe(const void *p, const char *call);

/* Looks at every block, and tells what is wrong. */
void hardened_small_check(const char *call);

/* Gives empty slabs back to the OS, with `all` what is in quarantine too. Returns the bytes. */
size_t hardened_small_trim(bool all);

struct hardened_small_totals {
    size_t live, live_blocks; /* as the program asked */
    size_t taken;             /* bytes of open slabs */
};
void hardened_small_count(struct hardened_small_totals *totals);

/* Looks whether P1-P3 hold. Takes the locks. */
struct walk;
void hardened_small_walk(struct walk *walk);

#endif
