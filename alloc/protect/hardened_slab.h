/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks of up to SLAB_MOST bytes. Each size class has a room of address space of its own, with a
 * random base; all rooms are one reservation that cannot be touched. A room is cut into cells; every other cell, as blocks
 * are needed, is opened and holds slots of the class, the cells between stay shut. (Once half of the mappings that a
 * process may have are in use, cells are opened side by side.) A block takes a random free slot:
 *
 *     | gap: canary | the program's bytes, exactly what it asked for | canary, SLAB_CANARY bytes at least | slot 1 ...
 *
 * What is known of a slot is in a record far away, between shut pages. Where the rooms, the records and the secrets are is
 * read-only after the start. A freed slot is zeroed, waits in its class's quarantine, and is looked at when it leaves it and
 * when it is used again. Its last bytes keep a canary, so that a write before its neighbour's start is seen. Class 0 is for
 * blocks of no bytes: its cells are never opened.
 *
 * P1 the free bits of an open cell are the slots that are neither LIVE nor HELD; counts agree with records.
 * P2 a class's list of cells is those that are open and have a free slot; retired cells are shut and have no other.
 * P3 what is in quarantine is HELD, each slot once, and nothing else is.
 * P4 slots that are HELD or FREED are zero, canaries are what was written, or the program wrote there.
 *
 * Locks: one a class, LOCK_HARDENED; cells are opened and shut under it. Memory refused changes nothing.
 */
#ifndef MYALLOC_HARDENED_SLAB_H
#define MYALLOC_HARDENED_SLAB_H

#include "base/base.h"
#include "base/sizeclass.h"
#include "protect/fault.h"

#define SLAB_CANARY 8
#define SLAB_MOST (SMALL_MAX - SLAB_CANARY)

/* Reserves the rooms, less where RLIMIT_AS is short. False if the OS refuses. */
bool slab_start(void);

/* A zeroed block; NULL if refused, if its class's room is full, or if it is too large for slabs. */
void *slab_alloc(size_t bytes, size_t align, const char *call, uint32_t stack);

/* True if `p` points into the rooms, whatever is there. */
bool slab_owns(const void *p);

/* Frees a block of the rooms, as hardened_free. */
void slab_free(void *p, const char *call, size_t bytes, size_t align, uint32_t stack);

/* The size of a live block, without looking at its memory. A fault is told, and the answer false. */
bool slab_size(const void *p, const char *call, size_t *bytes);

/* Makes a live block smaller where it is. */
void slab_shrink(void *p, size_t bytes);

/* Looks at a block as mprobe(3) does, and tells what is wrong. */
enum mcheck_status slab_probe(const void *p, const char *call);

/* Looks at every block, and tells what is wrong. */
void slab_check(const char *call);

/* Gives empty cells back to the OS, with `all` what is in quarantine too. Returns the bytes. */
size_t slab_trim(bool all);

struct slab_totals {
    size_t live, live_blocks; /* as the program asked */
    size_t taken;             /* bytes of open cells */
};
void slab_count(struct slab_totals *totals);

/* Looks whether P1-P3 hold. Takes the locks. */
struct walk;
void slab_walk(struct walk *walk);

#endif
