/* SPDX-License-Identifier: MIT */
/*
 * Where hardened blocks of up to HARDENED_SMALL_MOST bytes lie, and what is known of them: the inside of hardened_small.h,
 * whose header tells the layout. Ranges, their slabs, and the records of both; no block's memory is looked at here.
 *
 * P1 the free bits of an open slab are the slots that are neither LIVE nor HELD; counts agree with records.
 * P2 a class's list of slabs is those that are open and have a free slot; retired slabs have no memory, and their list no
 * other.
 * P3 what is in quarantine is HELD, each slot once, and nothing else is.
 */
#ifndef MYALLOC_HARDENED_SLAB_H
#define MYALLOC_HARDENED_SLAB_H

#include "base/base.h"
#include "base/sizeclass.h"
#include "kit/lock.h"
#include "kit/quarantine.h"
#include "kit/random.h"

#define SLOTS_MOST 256
#define FREE_WORDS (SLOTS_MOST / 64)

enum slot_state { SLOT_UNUSED, SLOT_LIVE, SLOT_HELD, SLOT_FREED };

struct slot {
    uint32_t alloc_stack, free_stack; /* stacks.h */
    int alloc_thread, free_thread;    /* lives (kit/thread_names.h) */
    uint32_t bytes;
    uint8_t alloc_call, free_call; /* fault_call_number */
    uint8_t align_shift;
    uint8_t state : 6;
    uint8_t reported : 1;   /* its damage was printed already (mcheck's function is told each time) */
    uint8_t has_canary : 1; /* its last bytes hold a canary even while it is free */
};
_Static_assert(sizeof(struct slot) == 24, "records are small");

enum slab_state { SLAB_NEVER, SLAB_OPEN, SLAB_RETIRED };

struct slab {
    uint64_t free[FREE_WORDS];
    uint64_t secret;
    uint32_t next, previous; /* index + 1; of slabs with free slots, or of retired ones */
    uint16_t free_count;
    uint8_t state;
    struct slot slots[];
};

/* What changes; locked. */
struct range_state {
    struct lock lock;
    struct random random;
    struct quarantine quarantine;
    uint32_t first, last;              /* slabs with free slots: index + 1 */
    uint32_t oldest, newest, retired;  /* retired slabs, and their number */
    uint32_t frontier;                 /* slabs from here on were never opened */
    uint32_t empty;                    /* open slabs without a block */
    size_t records[2];                 /* bytes of records that are writable, of even slabs and of odd ones */
    size_t open, live_blocks, live_bytes;
};

/* What is read-only after the start. */
struct range {
    char *base;                     /* of slab 0 */
    char *records[2];               /* of even slabs, and of odd ones, of which few are ever opened */
    uint32_t slot, slots;           /* bytes of one; how many a slab has */
    uint32_t slab, gap, stride;     /* bytes: of a slab; before its first slot; from record to record */
    uint32_t slabs;                 /* that there can be */
    struct range_state *state;
};

struct range_plan {
    char *start;
    size_t bytes; /* of address space a class */
    size_t mappings_most;
    bool grows; /* slabs and records are reserved when they are opened; else all of it is reserved */
    struct range ranges[CLASS_COUNT];
};

extern HIDDEN const struct range_plan *range_plan; /* NULL before the start */

/* Reserves ranges, less where RLIMIT_AS is short. False if the OS refuses. */
bool ranges_start(void);

static inline struct slab *slab_at(const struct range *range, uint32_t number) {
    return (struct slab *)(void *)(range->records[number % 2] + (size_t)(number / 2) * range->stride);
}

/* Bytes of records from the first to that of a slab. */
static inline size_t records_upto(const struct range *range, uint32_t number) {
    return (size_t)(number / 2 + 1) * range->stride;
}

/* Whether a slab was ever opened: no other has a record that can be read. */
static inline bool slab_was_opened(const struct range *range, size_t number) {
    return number < range->state->frontier && records_upto(range, (uint32_t)number) <= range->state->records[number % 2] &&
           slab_at(range, (uint32_t)number)->state != SLAB_NEVER;
}

static inline char *slab_start(const struct range *range, uint32_t number) {
    return range->base + (size_t)number * range->slab;
}

static inline char *slot_start(const struct range *range, uint32_t number, uint32_t index) {
    return slab_start(range, number) + range->gap + (size_t)index * range->slot;
}

/* Blocks of no bytes have none. */
static inline bool range_has_memory(const struct range *range) {
    return range != range_plan->ranges;
}

/* Opens a slab, all of whose slots are free, and puts it at the end of the list. Its gap is the caller's to fill. False if
 * the OS refuses or the range is full, nothing has changed then. */
bool slab_open(const struct range *range);

/* Gives the memory of an open slab without a block back. False if the OS refuses; it stays open then. */
bool slab_retire(const struct range *range, uint32_t number);

/* Gives up what is known of retired slabs behind the last open one, and the memory for it, as far as the OS does its part:
 * these slabs were never opened then. Returns the bytes that the OS got. */
size_t slabs_forget(const struct range *range);

/* The list of open slabs with free slots. */
void slab_list(const struct range *range, uint32_t number);
void slab_unlist(const struct range *range, uint32_t number);

/* The range that `p` lies in, an address inside the reservation of all ranges. */
const struct range *range_around(const void *p);

/* Where a slot is, or where one could be. */
struct position {
    const struct range *range;
    struct range_state *state;
    struct slab *slab; /* NULL: never opened */
    struct slot *slot; /* NULL: in the gap, or without a slab */
    uint32_t index;    /* of the slot in its slab */
    uint32_t number;   /* of the slab */
    char *start;       /* of the slot */
};

/* Where `p` lies, an address inside the reservation of all ranges; or slot `index` of a slab. The lock of the range is held. */
struct position position_around(const void *p);
struct position position_at(const struct range *range, uint32_t number, uint32_t index);

/* A slot as one number, not 0, and back. */
static inline uint64_t position_ticket(const struct position *position) {
    return ((uint64_t)position->number << 8 | position->index) + 1;
}

static inline struct position position_of(const struct range *range, uint64_t ticket) {
    return position_at(range, (uint32_t)((ticket - 1) >> 8), (uint32_t)((ticket - 1) & 0xff));
}

/* Calls `see` with the addresses of all slabs that were ever opened, and of their records (protection.h). */
void hardened_slab_each_range(void (*see)(const void *start, size_t bytes, bool blocks, void *data), void *data);

/* Looks whether P1-P3 hold. Takes the locks. */
struct walk;
void hardened_slab_walk(struct walk *walk);

extern HIDDEN const struct lock_set range_locks;

#endif
