/* SPDX-License-Identifier: MIT */
#include "protect/hardened_slab.h"

#include <string.h>

#include "base/canary.h"
#include "kit/report.h"
#include "protect/hardened_room.h"

#define HEAD_LOOK 64 /* bytes before a block that are looked at when it is freed, beside the canary */

bool slab_start(void) {
    return room_start();
}

bool slab_owns(const void *p) {
    return room_plan != NULL && (uintptr_t)p - (uintptr_t)room_plan->start < CLASS_COUNT * room_plan->room;
}

/* The neighbour before, in the same cell; index is not 0. */
static struct place place_before(const struct place *place) {
    return place_at(place->room, place->number, place->index - 1);
}

/* ---- looking at memory ------------------------------------------------------------------------------------------- */

static struct fault_block known(const struct place *place) {
    const struct slot *slot = place->slot;
    return (struct fault_block){.start = place->start, .bytes = slot->bytes, .align = (size_t)1 << slot->align_shift,
                                .alloc_call = fault_call_name(slot->alloc_call),
                                .free_call = fault_call_name(slot->free_call), .alloc_stack = slot->alloc_stack,
                                .free_stack = slot->free_stack, .freed = slot->state != SLOT_LIVE};
}

static void note(struct fault *fault, enum fault_kind kind, const struct place *place, const char *at) {
    fault->kind = kind;
    fault->block_known = place->slot->state != SLOT_UNUSED;
    fault->offset = at - place->start;
    fault->block = known(place);
}

static bool can_look(const struct place *place) {
    return place->cell->state == CELL_OPEN && room_has_memory(place->room) && !place->slot->told;
}

static char *end_of(const struct place *place) {
    return place->start + place->room->slot;
}

/* Where the canary of a slot starts. */
static char *fence_of(const struct place *place) {
    if (place->slot->state == SLOT_LIVE)
        return place->start + place->slot->bytes;
    return end_of(place) - (place->slot->fenced ? SLAB_CANARY : 0);
}

/* The canary that ends a slot, from `fence` on. */
static void tail_write(const struct place *place, char *fence) {
    canary_write(place->cell->secret, fence, end_of(place), canary_nul(fence, end_of(place)));
}

/* The first byte of it that has changed, or the slot's end. */
static const char *tail_look(const struct place *place, const char *fence) {
    return canary_look(place->cell->secret, fence, end_of(place), canary_nul(fence, end_of(place)));
}

/* The first byte of a slot that is not what it must be, NULL if all are. */
static const char *changed(const struct place *place) {
    const char *fence = fence_of(place), *at = fence;
    if (!can_look(place))
        return NULL;
    if (place->slot->state != SLOT_LIVE)
        at = place->start + canary_zeros(place->start, (size_t)(fence - place->start));
    if (at == fence)
        at = tail_look(place, fence);
    return at < end_of(place) ? at : NULL;
}

static void mark_told(const struct place *place) {
    place->slot->told = !fault_has_handler();
}

/* Notes what is wrong with a slot's own memory; false if nothing is. */
static bool look(const struct place *place, struct fault *fault) {
    const char *at = changed(place);
    if (at == NULL)
        return false;
    note(fault, place->slot->state == SLOT_LIVE ? FAULT_TAIL : FAULT_WRITTEN_FREED, place, at);
    mark_told(place);
    return true;
}

/* The last changed byte of the gap before the first slot, which is mended. */
static const char *gap_changed(const struct place *place) {
    char *from = place->start - min_size(place->room->gap, HEAD_LOOK);
    const char *at = canary_look_back(place->cell->secret, from, place->start, NULL);
    if (at != NULL)
        canary_write(place->cell->secret, from, place->start, NULL);
    return at;
}

/* The canary of a slot and, if it is free, a few bytes before that: all of it is looked at when it is used again. */
static bool is_whole_near(const struct place *place, const char *fence) {
    if (!can_look(place))
        return true;
    size_t zeros = place->slot->state == SLOT_LIVE ? 0 : min_size((size_t)(fence - place->start), HEAD_LOOK);
    return canary_zeros(fence - zeros, zeros) == zeros &&
           tail_look(place, fence) == end_of(place);
}

/* What lies before a live block is the canary of its neighbour, free or not. If that is whole, or its first byte is among
 * those that have changed, somebody wrote to the neighbour or beyond its end; else it was this block's program. */
static bool look_at_neighbour(const struct place *place, struct fault *fault) {
    struct place before = place_before(place);
    const char *fence = fence_of(&before);
    if (is_whole_near(&before, fence))
        return false;
    const char *first = changed(&before);
    bool lives = before.slot->state == SLOT_LIVE;
    const char *end = end_of(&before), *last = canary_look_back(before.cell->secret, fence, end, canary_nul(fence, end));
    mark_told(&before);
    if (before.slot->state != SLOT_UNUSED && (last == NULL || first == (lives ? fence : before.start)))
        note(fault, lives ? FAULT_TAIL : FAULT_WRITTEN_FREED, &before, first);
    else
        note(fault, FAULT_HEAD, place, last != NULL ? last : first);
    return true;
}

static bool look_before(const struct place *place, struct fault *fault) {
    if (!can_look(place))
        return false;
    if (place->index > 0)
        return look_at_neighbour(place, fault);
    const char *at = gap_changed(place);
    if (at != NULL)
        note(fault, FAULT_HEAD, place, at);
    return at != NULL;
}

/* ---- quarantine -------------------------------------------------------------------------------------------------- */

/* Looks at the free slots of a cell once more, before they are gone. */
static void cell_look(const struct room *room, uint32_t number, struct fault_list *faults) {
    for (uint32_t index = 0; index < room->slots; index++) {
        struct place place = place_at(room, number, index);
        struct fault fault = {0};
        if (look(&place, &fault))
            *fault_add(faults, "quarantine", place.start) = fault;
    }
}

/* As free slots are. */
static void wipe(const struct place *place) {
    if (!room_has_memory(place->room))
        return;
    size_t fence = place->room->slot - SLAB_CANARY;
    memset(place->start, 0, fence);
    tail_write(place, place->start + fence);
    place->slot->fenced = 1;
}

/* So that a write before the next slot's start is seen, whatever it writes. */
static void fence(const struct place *place) {
    if (!place->slot->fenced && room_has_memory(place->room) && place->slot->state != SLOT_LIVE)
        tail_write(place, end_of(place) - SLAB_CANARY);
    place->slot->fenced = 1;
}

static void shut(const struct room *room, uint32_t number, struct fault_list *faults) {
    cell_look(room, number, faults);
    cell_retire(room, number);
}

/* A slot whose time in quarantine is over may be used again. */
static void slot_release(const struct room *room, uint64_t ticket, struct fault_list *faults) {
    struct room_state *state = room->state;
    struct place place = place_of(room, ticket);
    struct fault fault = {0};
    bool damaged = look(&place, &fault);
    if (damaged)
        *fault_add(faults, "quarantine", place.start) = fault;
    if (damaged || place.slot->told)
        wipe(&place);
    place.slot->told = 0;
    place.slot->state = SLOT_FREED;
    place.cell->free[place.index / 64] |= UINT64_C(1) << (place.index % 64);
    if (place.cell->free_count++ == 0)
        cell_list(room, place.number);
    if (place.cell->free_count == room->slots && state->empty++ > 0)
        shut(room, place.number, faults);
}

static size_t room_trim(const struct room *room, bool all, struct fault_list *faults) {
    struct room_state *state = room->state;
    size_t before = state->open;
    uint64_t ticket;
    while (all && (ticket = quarantine_pull(&state->quarantine)) != 0)
        slot_release(room, ticket, faults);
    for (uint32_t at = state->first, next; at != 0; at = next) {
        next = cell_at(room, at - 1)->next;
        if (cell_at(room, at - 1)->free_count == room->slots)
            shut(room, at - 1, faults);
    }
    return (before - state->open) * room->cell;
}

size_t slab_trim(bool all) {
    size_t bytes = 0;
    for (unsigned class = 0; room_plan != NULL && class < CLASS_COUNT; class++) {
        const struct room *room = &room_plan->rooms[class];
        struct fault_list faults;
        faults.count = 0;
        lock_acquire(&room->state->lock, LOCK_HARDENED);
        bytes += room_trim(room, all, &faults);
        lock_release(&room->state->lock, LOCK_HARDENED);
        fault_tell_all(&faults);
    }
    return bytes;
}

/* ---- allocation -------------------------------------------------------------------------------------------------- */

/* Position of the set bit that has `rank` set bits below it. */
static uint32_t nth_bit(const uint64_t *words, uint32_t rank) {
    uint32_t word = 0;
    for (uint32_t count; (count = (uint32_t)__builtin_popcountll(words[word])) <= rank; word++)
        rank -= count;
    uint64_t bits = words[word];
    for (; rank > 0; rank--)
        bits &= bits - 1;
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* A random free slot of the first cell that has one; false if no cell can be opened. */
static bool slot_take(const struct room *room, struct place *place) {
    struct room_state *state = room->state;
    bool fresh = state->first == 0;
    if (fresh && !cell_open(room))
        return false;
    uint32_t number = state->first - 1;
    struct cell *cell = cell_at(room, number);
    if (fresh && room_has_memory(room))
        canary_write(cell->secret, cell_start(room, number), cell_start(room, number) + room->gap, NULL);
    uint32_t index = nth_bit(cell->free, random_below(&state->random, cell->free_count));
    *place = place_at(room, number, index);
    state->empty -= cell->free_count == room->slots;
    cell->free[index / 64] &= ~(UINT64_C(1) << (index % 64));
    if (--cell->free_count == 0)
        cell_unlist(room, number);
    return true;
}

static void slot_enter(const struct place *place, size_t bytes, size_t align, const char *call, uint32_t stack) {
    struct slot *slot = place->slot;
    slot->alloc_stack = stack;
    slot->bytes = (uint32_t)bytes;
    slot->alloc_call = fault_call_number(call);
    slot->align_shift = (uint8_t)high_bit(align);
    slot->state = SLOT_LIVE;
    slot->told = 0;
    place->state->live_blocks++;
    place->state->live_bytes += bytes;
    slot->fenced = 1;
    if (!room_has_memory(place->room))
        return;
    tail_write(place, place->start + bytes);
    if (place->index > 0) {
        struct place before = place_before(place);
        fence(&before);
    }
}

/* The class of a request; CLASS_COUNT if it is too large. */
static unsigned class_for(size_t bytes, size_t align) {
    unsigned class = 0;
    if (bytes == 0 && align <= BLOCK_ALIGN)
        return 0;
    if (bytes <= SLAB_MOST && align <= OS_PAGE)
        class = align <= BLOCK_ALIGN ? class_of(bytes + SLAB_CANARY) : class_of_aligned(bytes + SLAB_CANARY, align);
    return class != 0 && bytes > 0 ? class : CLASS_COUNT;
}

void *slab_alloc(size_t bytes, size_t align, const char *call, uint32_t stack) {
    unsigned class = class_for(bytes, align);
    if (class == CLASS_COUNT)
        return NULL;
    const struct room *room = &room_plan->rooms[class];
    struct fault_list faults;
    struct place place;
    faults.count = 0;
    lock_acquire(&room->state->lock, LOCK_HARDENED);
    bool done = slot_take(room, &place);
    if (done) {
        struct fault fault = {0};
        if (look(&place, &fault))
            *fault_add(&faults, call, place.start) = fault;
        if (faults.count > 0 || place.slot->told)
            wipe(&place);
        slot_enter(&place, bytes, align, call, stack);
    }
    lock_release(&room->state->lock, LOCK_HARDENED);
    fault_tell_all(&faults);
    return done ? place.start : NULL;
}

/* ---- free -------------------------------------------------------------------------------------------------------- */

/* What is wrong with a pointer that must be a live block's start. False if it is none. */
static bool judge_pointer(const struct place *place, const void *p, const char *call, struct fault_list *faults) {
    const struct slot *slot = place->slot;
    if (slot != NULL && slot->state == SLOT_LIVE && place->start == p)
        return true;
    struct fault *fault = fault_add(faults, call, p);
    if (slot != NULL)
        note(fault, FAULT_INVALID, place, p);
    fault->kind = slot != NULL && slot->state != SLOT_UNUSED && place->start == p ? fault_of_freed(call) : FAULT_INVALID;
    return false;
}

/* What is wrong with a live block and with a call for it. */
static void judge_block(const struct place *place, const char *call, size_t bytes, size_t align, struct fault_list *faults) {
    struct fault fault = {0};
    if (!look(place, &fault) && !look_before(place, &fault)) {
        fault.block = known(place);
        fault.block_known = true;
        fault_judge(&fault, &fault.block, call, bytes, align);
    }
    if (fault.kind != FAULT_NONE)
        *fault_add(faults, call, place->start) = fault;
}

static void slot_hold(const struct place *place, const char *call, uint32_t stack, struct fault_list *faults) {
    struct slot *slot = place->slot;
    slot->state = SLOT_HELD;
    slot->told = 0;
    slot->free_call = fault_call_number(call);
    slot->free_stack = stack;
    place->state->live_blocks--;
    place->state->live_bytes -= slot->bytes;
    wipe(place);
    uint64_t out = quarantine_push(&place->state->quarantine, &place->state->random, place_ticket(place));
    if (out != 0)
        slot_release(place->room, out, faults);
}

void slab_free(void *p, const char *call, size_t bytes, size_t align, uint32_t stack) {
    struct fault_list faults;
    struct place place;
    faults.count = 0;
    place_lock(&place, p);
    if (judge_pointer(&place, p, call, &faults)) {
        judge_block(&place, call, bytes, align, &faults);
        slot_hold(&place, call, stack, &faults);
    }
    place_unlock(&place);
    fault_tell_all(&faults);
}

bool slab_size(const void *p, const char *call, size_t *bytes) {
    struct fault_list faults;
    struct place place;
    faults.count = 0;
    place_lock(&place, p);
    bool lives = judge_pointer(&place, p, call, &faults);
    if (lives)
        *bytes = place.slot->bytes;
    place_unlock(&place);
    fault_tell_all(&faults);
    return lives;
}

void slab_shrink(void *p, size_t bytes) {
    struct place place;
    place_lock(&place, p);
    if (place.slot != NULL && place.slot->state == SLOT_LIVE && place.start == p && bytes < place.slot->bytes) {
        place.state->live_bytes -= place.slot->bytes - bytes;
        place.slot->bytes = (uint32_t)bytes;
        tail_write(&place, place.start + bytes);
    }
    place_unlock(&place);
}

/* ---- looking at all ---------------------------------------------------------------------------------------------- */

enum mcheck_status slab_probe(const void *p, const char *call) {
    struct fault_list faults;
    struct place place;
    faults.count = 0;
    place_lock(&place, p);
    bool lives = judge_pointer(&place, p, FAULT_USE, &faults);
    if (lives) {
        place.slot->told = 0;
        struct fault fault = {0};
        if (look(&place, &fault) || look_before(&place, &fault))
            *fault_add(&faults, call, p) = fault;
    }
    place_unlock(&place);
    for (unsigned i = 0; i < faults.count; i++)
        faults.entries[i].call = call;
    fault_tell_all(&faults);
    return faults.count > 0 ? fault_status(faults.entries[0].fault.kind) : MCHECK_OK;
}

/* Looks at the cells from *number on until something is found to tell, and a few more. */
static void room_look(const struct room *room, uint32_t *number, struct fault_list *faults, const char *call) {
    lock_acquire(&room->state->lock, LOCK_HARDENED);
    for (; *number < room->state->frontier && faults->count == 0; ++*number)
        if (cell_was_opened(room, *number) && cell_at(room, *number)->state == CELL_OPEN)
            cell_look(room, *number, faults);
    for (unsigned i = 0; i < faults->count; i++)
        faults->entries[i].call = call;
    lock_release(&room->state->lock, LOCK_HARDENED);
}

void slab_check(const char *call) {
    struct fault_list faults;
    for (unsigned class = 1; room_plan != NULL && class < CLASS_COUNT && !fault_is_telling(); class++) {
        uint32_t number = 1;
        do {
            faults.count = 0;
            room_look(&room_plan->rooms[class], &number, &faults, call);
            fault_tell_all(&faults);
        } while (faults.count > 0);
    }
}

void slab_count(struct slab_totals *totals) {
    *totals = (struct slab_totals){0};
    for (unsigned class = 0; room_plan != NULL && class < CLASS_COUNT; class++) {
        struct room_state *state = room_plan->rooms[class].state;
        lock_acquire(&state->lock, LOCK_HARDENED);
        totals->live += state->live_bytes;
        totals->live_blocks += state->live_blocks;
        totals->taken += state->open * room_plan->rooms[class].cell;
        lock_release(&state->lock, LOCK_HARDENED);
    }
}

