/* SPDX-License-Identifier: MIT */
#include "protect/hardened_room.h"

#include <stdatomic.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/readonly.h"

#define ROOM_MOST (16 * GIB) /* of address space a class, half of it for the random base */
#define ROOM_LEAST (512 * KIB)
#define CELL_TARGET (16 * KIB)
#define SLOTS_LEAST 8
#define SLOTS_LARGE 4               /* from LARGE_SLOT on */
#define LARGE_SLOT (8 * KIB)
#define WAIT_BYTES (64 * KIB)       /* of a class in each half of its quarantine, */
#define WAIT_MOST 128               /* but no more blocks than this, */
#define WAIT_LEAST 4                /* and no fewer than this */
#define RETIRED_LEAST 8             /* retired cells before one is opened again */
#define COMMIT_STEP (16 * KIB)
#define MAPPINGS_DEFAULT 65530      /* vm.max_map_count of most systems */

const struct room_plan *room_plan READONLY = NULL;
static _Atomic size_t mappings; /* that open cells need */

/* ---- start ------------------------------------------------------------------------------------------------------- */

static uint32_t slots_of(size_t slot) {
    size_t least = slot > LARGE_SLOT ? SLOTS_LARGE : SLOTS_LEAST;
    return (uint32_t)min_size(max_size(CELL_TARGET / slot, least), SLOTS_MOST);
}

static uint32_t wait_of(size_t slot) {
    return (uint32_t)min_size(max_size(WAIT_BYTES / slot, WAIT_LEAST), WAIT_MOST);
}

static void shape(struct room *room, unsigned class) {
    room->slot = (uint32_t)max_size(class_bytes(class), BLOCK_ALIGN);
    room->slots = slots_of(room->slot);
    room->cell = (uint32_t)align_up((size_t)room->slot * room->slots, OS_PAGE);
    room->gap = room->cell - room->slot * room->slots;
    room->stride = (uint32_t)align_up(sizeof(struct cell) + room->slots * sizeof(struct slot), sizeof(uint64_t));
}

/* Of the even cells, or the odd ones; and a page that stays shut. */
static size_t records_bytes(const struct room *room) {
    return align_up(records_upto(room, room->cells), COMMIT_STEP) + OS_PAGE;
}

static size_t mappings_allowed(void) {
    char text[32];
    size_t length = os_read_file("/proc/sys/vm/max_map_count", text, sizeof text), number;
    scan_number(text, length, 10, &number);
    return number > 0 ? number : MAPPINGS_DEFAULT;
}

/* Random bases in the space, states in the order of classes. */
static void lay_out(struct room_plan *fresh, char *space, char *records, char *states) {
    struct random random = {0};
    char *places = states + align_up(CLASS_COUNT * sizeof(struct room_state), CACHE_LINE);
    fresh->start = space;
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct room *room = &fresh->rooms[class];
        size_t shift = random_below(&random, (uint32_t)(fresh->room / 2 / OS_PAGE)) * OS_PAGE;
        room->base = space + class * fresh->room + shift;
        room->records[0] = records;
        room->records[1] = records + records_bytes(room);
        records += 2 * records_bytes(room);
        room->state = (struct room_state *)(void *)states + class;
        uint32_t wait = wait_of(room->slot);
        room->state->quarantine = (struct quarantine){.places = (uint64_t *)(void *)places, .random = wait, .queue = wait};
        room->state->frontier = 1; /* cell 0 stays shut */
        places += 2 * sizeof(uint64_t) * wait;
    }
}

static size_t states_bytes(const struct room_plan *fresh) {
    size_t bytes = align_up(CLASS_COUNT * sizeof(struct room_state), CACHE_LINE);
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        bytes += 2 * sizeof(uint64_t) * wait_of(fresh->rooms[class].slot);
    return align_up(bytes, OS_PAGE);
}

/* Of all rooms, behind a page that stays shut. */
static size_t all_records_bytes(const struct room_plan *plan) {
    size_t bytes = OS_PAGE;
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        bytes += 2 * records_bytes(&plan->rooms[class]);
    return bytes;
}

/* Rooms of this size, records for them, and the states. False if anything is refused, nothing is left behind then. */
static bool reserve(struct room_plan *fresh, size_t room_bytes) {
    fresh->room = room_bytes;
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct room *room = &fresh->rooms[class];
        shape(room, class);
        room->cells = (uint32_t)(room_bytes / 2 / room->cell);
    }
    size_t records = all_records_bytes(fresh);
    char *space = os_reserve(CLASS_COUNT * room_bytes), *meta = space ? os_reserve(records) : NULL;
    char *states = meta ? budget_map(states_bytes(fresh)) : NULL;
    if (states != NULL) {
        lay_out(fresh, space, meta + OS_PAGE, states);
        return true;
    }
    if (meta != NULL)
        os_unmap(meta, records);
    if (space != NULL)
        os_unmap(space, CLASS_COUNT * room_bytes);
    return false;
}

/* Undoes it. */
static void give_back(const struct room_plan *fresh) {
    budget_unmap(fresh->rooms[0].state, states_bytes(fresh));
    os_unmap(fresh->rooms[0].records[0] - OS_PAGE, all_records_bytes(fresh));
    os_unmap(fresh->start, CLASS_COUNT * fresh->room);
}

bool room_start(void) {
    size_t bytes = align_up(sizeof(struct room_plan), OS_PAGE), limit = os_address_limit(), room = ROOM_MOST;
    struct room_plan *fresh = budget_map(bytes);
    if (fresh == NULL)
        return false;
    fresh->mappings_most = mappings_allowed() / 2;
    while (room > ROOM_LEAST && room > limit / 4 / CLASS_COUNT)
        room /= 2;
    while (room >= ROOM_LEAST && !reserve(fresh, room))
        room /= 2;
    if (fresh->start == NULL || !readonly_open(&room_plan, sizeof room_plan) || !os_readonly(fresh, bytes)) {
        if (fresh->start != NULL)
            give_back(fresh);
        budget_unmap(fresh, bytes);
        return false;
    }
    room_plan = fresh;
    return true;
}

/* ---- places --------------------------------------------------------------------------------------------------------- */

void place_lock(struct place *place, const void *p) {
    size_t class = (size_t)((const char *)p - room_plan->start) / room_plan->room;
    const struct room *room = &room_plan->rooms[class];
    *place = (struct place){.room = room, .state = room->state};
    lock_acquire(&room->state->lock, LOCK_HARDENED);
    if ((const char *)p < room->base)
        return;
    size_t offset = (size_t)((const char *)p - room->base), number = offset / room->cell;
    if (!cell_was_opened(room, number))
        return;
    place->number = (uint32_t)number;
    place->cell = cell_at(room, place->number);
    offset -= number * room->cell;
    if (offset < room->gap)
        return;
    place->index = (uint32_t)((offset - room->gap) / room->slot);
    place->slot = &place->cell->slots[place->index];
    place->start = slot_start(room, place->number, place->index);
}

void place_unlock(const struct place *place) {
    lock_release(&place->state->lock, LOCK_HARDENED);
}

struct place place_at(const struct room *room, uint32_t number, uint32_t index) {
    struct cell *cell = cell_at(room, number);
    return (struct place){.room = room, .state = room->state, .cell = cell, .slot = &cell->slots[index],
                          .index = index, .number = number, .start = slot_start(room, number, index)};
}

/* ---- cells ------------------------------------------------------------------------------------------------------- */

/* Lists of cells by index + 1, linked both ways. */
static void list_append(const struct room *room, uint32_t *first, uint32_t *last, uint32_t number) {
    struct cell *cell = cell_at(room, number);
    cell->next = 0;
    cell->previous = *last;
    *(*last != 0 ? &cell_at(room, *last - 1)->next : first) = number + 1;
    *last = number + 1;
}

static void list_remove(const struct room *room, uint32_t *first, uint32_t *last, uint32_t number) {
    struct cell *cell = cell_at(room, number);
    *(cell->previous != 0 ? &cell_at(room, cell->previous - 1)->next : first) = cell->next;
    *(cell->next != 0 ? &cell_at(room, cell->next - 1)->previous : last) = cell->previous;
}

void cell_list(const struct room *room, uint32_t number) {
    list_append(room, &room->state->first, &room->state->last, number);
}

void cell_unlist(const struct room *room, uint32_t number) {
    list_remove(room, &room->state->first, &room->state->last, number);
}

/* Makes the records up to that of a cell writable. */
static bool records_reach(const struct room *room, uint32_t number) {
    size_t end = align_up(records_upto(room, number), COMMIT_STEP), *writable = &room->state->records[number % 2];
    if (end <= *writable)
        return true;
    if (!budget_commit(room->records[number % 2] + *writable, end - *writable))
        return false;
    *writable = end;
    return true;
}

/* The cell to open: one that has been shut for long enough, else a new one, else any shut one. False if there is none. */
static bool cell_choose(const struct room *room, uint32_t *number) {
    struct room_state *state = room->state;
    bool fresh = state->frontier < room->cells && state->retired < RETIRED_LEAST;
    *number = fresh || state->oldest == 0 ? state->frontier : state->oldest - 1;
    return *number < room->cells && records_reach(room, *number);
}

static bool cell_commit(const struct room *room, char *start) {
    if (!room_has_memory(room))
        return true;
    if (!budget_charge(room->cell))
        return false;
    if (!os_commit(start, room->cell)) {
        budget_refund(room->cell);
        return false;
    }
    room->state->open++;
    return true;
}

bool cell_open(const struct room *room) {
    struct room_state *state = room->state;
    uint32_t number;
    if (!cell_choose(room, &number))
        return false;
    if (!cell_commit(room, cell_start(room, number)))
        return false;
    struct cell *cell = cell_at(room, number);
    if (cell->state == CELL_RETIRED) {
        list_remove(room, &state->oldest, &state->newest, number);
        state->retired--;
    } else {
        bool apart = atomic_load_explicit(&mappings, memory_order_relaxed) < room_plan->mappings_most;
        state->frontier = number + (apart ? 2 : 1);
    }
    atomic_fetch_add_explicit(&mappings, room_has_memory(room) ? 2 : 0, memory_order_relaxed);
    cell->state = CELL_OPEN;
    cell->secret = random_long(&state->random);
    cell->free_count = (uint16_t)room->slots;
    for (uint32_t i = 0; i < room->slots; i++) {
        cell->free[i / 64] |= UINT64_C(1) << (i % 64);
        cell->slots[i].told = cell->slots[i].fenced = 0;
    }
    cell_list(room, number);
    state->empty++;
    return true;
}

bool cell_retire(const struct room *room, uint32_t number) {
    struct room_state *state = room->state;
    if (room_has_memory(room)) {
        if (!os_decommit(cell_start(room, number), room->cell))
            return false;
        budget_refund(room->cell);
        state->open--;
        atomic_fetch_sub_explicit(&mappings, 2, memory_order_relaxed);
    }
    cell_unlist(room, number);
    list_append(room, &state->oldest, &state->newest, number);
    cell_at(room, number)->state = CELL_RETIRED;
    state->retired++;
    state->empty--;
    return true;
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static struct lock *nth_room_lock(unsigned n) {
    return room_plan != NULL && n < CLASS_COUNT ? &room_plan->rooms[n].state->lock : NULL;
}

const struct lock_set room_locks = {.rank = LOCK_HARDENED, .further = nth_room_lock};
