/* SPDX-License-Identifier: MIT */
/*
 * The pool of guarded pages (guarded.h): slots of 1, 2, 4 or 8 pages each, with a guard page before the first and one behind
 * each, at one place; their records lie apart. Here is which slot is whose turn, and how its pages are made to be touched
 * and not to be touched; guarded.c has the blocks. Slots that were never used come first, then the one that was freed longest
 * ago. There are about three slots for each page that may be in use.
 *
 * G1 of each size, the slots up to `used` are LIVE or FREED and the rest UNUSED; the FREED ones are on the size's list, once.
 *
 * Pages that cannot be touched are reserved, so that they count as no memory (RLIMIT_DATA, systems that do not overcommit), and
 * a block's are committed while it lives, which takes two mappings. Where more than GUARDED_MAPPED_MOST pages may be in use
 * (sample_memory beyond some 17 MiB), that holds for so many slots; all pages of the others stay committed and are marked by
 * os_guard_install, which needs no mapping a block. Where memory is refused the free ones of these are decommitted, too.
 * Everything here is under the lock of guarded.h, but for guarded_slot_at and the pool's start and bytes, which do not change
 * after the start.
 */
#ifndef MYALLOC_GUARDED_POOL_H
#define MYALLOC_GUARDED_POOL_H

#include "base/base.h"
#include "protect/fault.h"

#define GUARDED_SIZES 4 /* of slots: 1, 2, 4 and 8 pages */
#define GUARDED_MAPPED_MOST 4096 /* live blocks: an eighth of the mappings that a process may have */

enum guarded_state { GUARDED_UNUSED, GUARDED_LIVE, GUARDED_FREED };

struct guarded_slot {
    struct fault_block block; /* that is there, or was last */
    uint32_t next;            /* FREED: number of the one freed after it, in its size, from 1; 0 for none */
    uint8_t pages;            /* of the block */
    uint8_t state;
    bool marked;      /* its pages were committed for os_guard_install, and may carry its marks */
    bool decommitted; /* ... but have been decommitted since then */
    bool exposed;     /* FREED, but can be touched: the OS refused to shut it */
    bool dirty;       /* the OS has not got the memory back, so it is not zero */
};

struct guarded_size {
    size_t first;  /* bytes from the pool's start to the first slot: no address, which the leak report would find */
    size_t stride; /* bytes from slot to slot */
    struct guarded_slot *slots;
    uint32_t count, used, ready; /* slots; given out at least once; whose pages are prepared */
    uint32_t oldest, newest;     /* FREED, as numbers from 1 */
};

extern HIDDEN struct guarded_pool {
    uintptr_t start;
    size_t bytes;         /* 0 before the start */
    size_t records_bytes; /* of all slots' records, from the first size's on */
    size_t pages_most;    /* that may be in use */
    size_t unused;        /* slots */
    uint64_t secret;      /* of all canaries */
    size_t unmarked_left; /* slots that may still be prepared without marks */
    bool grows;           /* the slots' addresses are reserved as slots are used, not all from the start */
    bool marks_end;       /* no further slots are marked: os_guard_install does not work, or memory was refused */
    struct guarded_size sizes[GUARDED_SIZES];
} guarded_pool;

/* Reserves as much as tunables.sample_memory has room for, records included; less where the OS refuses. False if that is less
 * than 8 pages. */
bool guarded_pool_start(void);

size_t guarded_pages_for(size_t bytes);

/* The smallest size of slots that has so many pages, 8 at most. */
struct guarded_size *guarded_size_for(size_t pages);

char *guarded_pages_of(const struct guarded_size *size, const struct guarded_slot *slot);

/* The slot whose pages, or the guard page behind them, hold the address; NULL if none do. */
struct guarded_slot *guarded_slot_at(const void *p, struct guarded_size **size);

/* The slot whose turn it is, left where it is; NULL if there is none. Then takes it, or puts a freed one at the end. */
struct guarded_slot *guarded_slot_next(struct guarded_size *size);
void guarded_slot_take(struct guarded_size *size, struct guarded_slot *slot);
void guarded_slot_append(struct guarded_size *size, struct guarded_slot *slot);

/* Makes the first `bytes` of a slot's pages, which start at `pages`, zeros that can be touched. False if the OS refuses. */
bool guarded_slot_open(struct guarded_slot *slot, char *pages, size_t bytes);

/* Makes that they cannot be touched, and gives their memory back, as far as the OS does its part. */
void guarded_slot_close(struct guarded_slot *slot, char *pages, size_t bytes);

/* Decommits the pages of all marked slots that are not LIVE, as far as the OS does its part, and has no further slots marked.
 * Returns the bytes that are committed no more. */
size_t guarded_pool_trim(void);

#endif
