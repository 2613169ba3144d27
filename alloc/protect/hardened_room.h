/* SPDX-License-Identifier: MIT */
/*
 * Where hardened blocks of up to SLAB_MOST bytes lie, and what is known of them: the inside of hardened_slab.h,
 * whose header tells the layout. Rooms, their cells, and the records of both; no block's memory is looked at here.
 */
#ifndef MYALLOC_HARDENED_ROOM_H
#define MYALLOC_HARDENED_ROOM_H

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
    uint32_t bytes;
    uint8_t alloc_call, free_call; /* fault_call_number */
    uint8_t align_shift;
    uint8_t state : 6;
    uint8_t told : 1;   /* that its memory is damaged */
    uint8_t fenced : 1; /* its last bytes hold a canary even while it is free */
};
_Static_assert(sizeof(struct slot) == 16, "records are small");

enum cell_state { CELL_NEVER, CELL_OPEN, CELL_RETIRED };

struct cell {
    uint64_t free[FREE_WORDS];
    uint64_t secret;
    uint32_t next, previous; /* index + 1; of cells with free slots, or of retired ones */
    uint16_t free_count;
    uint8_t state;
    struct slot slots[];
};

/* What changes; locked. */
struct room_state {
    struct lock lock;
    struct random random;
    struct quarantine quarantine;
    uint32_t first, last;              /* cells with free slots: index + 1 */
    uint32_t oldest, newest, retired;  /* retired cells, and their number */
    uint32_t frontier;                 /* cells from here on were never opened */
    uint32_t empty;                    /* open cells without a block */
    size_t records[2];                 /* bytes of records that are writable, of even cells and of odd ones */
    size_t open, live_blocks, live_bytes;
};

/* What is sealed after the start. */
struct room {
    char *base;                     /* of cell 0 */
    char *records[2];               /* of even cells, and of odd ones, of which few are ever opened */
    uint32_t slot, slots;           /* bytes of one; how many a cell has */
    uint32_t cell, gap, stride;     /* bytes: of a cell; before its first slot; from record to record */
    uint32_t cells;                 /* that there can be */
    struct room_state *state;
};

struct room_plan {
    char *start;
    size_t room; /* bytes of address space a class */
    size_t mappings_most;
    struct room rooms[CLASS_COUNT];
};

extern HIDDEN const struct room_plan *room_plan; /* NULL before the start */

/* Reserves rooms, less where RLIMIT_AS is short. False if the OS refuses. */
bool room_start(void);

static inline struct cell *cell_at(const struct room *room, uint32_t number) {
    return (struct cell *)(void *)(room->records[number % 2] + (size_t)(number / 2) * room->stride);
}

/* Bytes of records from the first to that of a cell. */
static inline size_t records_upto(const struct room *room, uint32_t number) {
    return (size_t)(number / 2 + 1) * room->stride;
}

/* Whether a cell was ever opened: no other has a record that can be read. */
static inline bool cell_was_opened(const struct room *room, size_t number) {
    return number < room->state->frontier && records_upto(room, (uint32_t)number) <= room->state->records[number % 2] &&
           cell_at(room, (uint32_t)number)->state != CELL_NEVER;
}

static inline char *cell_start(const struct room *room, uint32_t number) {
    return room->base + (size_t)number * room->cell;
}

static inline char *slot_start(const struct room *room, uint32_t number, uint32_t index) {
    return cell_start(room, number) + room->gap + (size_t)index * room->slot;
}

/* Blocks of no bytes have none. */
static inline bool room_has_memory(const struct room *room) {
    return room != room_plan->rooms;
}

/* Opens a cell, all of whose slots are free, and puts it at the end of the list. Its gap is the caller's to fill. False if
 * the OS refuses or the room is full, nothing has changed then. */
bool cell_open(const struct room *room);

/* Shuts an open cell without a block. False if the OS refuses; it stays open then. */
bool cell_retire(const struct room *room, uint32_t number);

/* The list of open cells with free slots. */
void cell_list(const struct room *room, uint32_t number);
void cell_unlist(const struct room *room, uint32_t number);

/* A slot, or where one could be. Taken by place_lock, which takes the lock of the class in whose room `p` lies. */
struct place {
    const struct room *room;
    struct room_state *state;
    struct cell *cell; /* NULL: never opened */
    struct slot *slot; /* NULL: in the gap, or without a cell */
    uint32_t index;    /* of the slot in its cell */
    uint32_t number;   /* of the cell */
    char *start;       /* of the slot */
};

void place_lock(struct place *place, const void *p);
void place_unlock(const struct place *place);
struct place place_at(const struct room *room, uint32_t number, uint32_t index);

/* A slot as one number, not 0, and back. */
static inline uint64_t place_ticket(const struct place *place) {
    return ((uint64_t)place->number << 8 | place->index) + 1;
}

static inline struct place place_of(const struct room *room, uint64_t ticket) {
    return place_at(room, (uint32_t)((ticket - 1) >> 8), (uint32_t)((ticket - 1) & 0xff));
}

extern HIDDEN const struct lock_set room_locks;

#endif
