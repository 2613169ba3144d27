/* SPDX-License-Identifier: MIT */
#include "protect/hardened_small.h"

#include <string.h>

#include "base/canary.h"
#include "kit/modes.h"
#include "kit/report.h"
#include "callers/stacks.h"
#include "protect/hardened_slab.h"

#define HEAD_LOOK 64 /* bytes before a block that are looked at when it is freed, beside its neighbour's canary */

static bool owns(const void *p) {
    return range_plan != NULL && (uintptr_t)p - (uintptr_t)range_plan->start < CLASS_COUNT * range_plan->bytes;
}

/* The neighbour before, in the same slab; index is not 0. */
static struct position position_before(const struct position *position) {
    return position_at(position->range, position->number, position->index - 1);
}

/* ---- looking at memory ------------------------------------------------------------------------------------------- */

static struct fault_block known(const struct position *position) {
    const struct slot *slot = position->slot;
    return (struct fault_block){.start = position->start, .bytes = slot->bytes, .align = (size_t)1 << slot->align_shift,
                                .alloc_call = fault_call_name(slot->alloc_call),
                                .free_call = fault_call_name(slot->free_call), .alloc_stack = slot->alloc_stack,
                                .free_stack = slot->free_stack, .alloc_thread = slot->alloc_thread,
                                .free_thread = slot->free_thread, .freed = slot->state != SLOT_LIVE};
}

static void note(struct fault *fault, enum fault_kind kind, const struct position *position, const char *at) {
    fault->kind = kind;
    fault->block_known = position->slot->state != SLOT_UNUSED;
    fault->offset = at - position->start;
    fault->block = known(position);
}

static bool can_look(const struct position *position) {
    return position->slab->state == SLAB_OPEN && range_has_memory(position->range) && !position->slot->reported;
}

static char *end_of(const struct position *position) {
    return position->start + position->range->slot;
}

/* Where the canary of a slot starts. */
static char *canary_start(const struct position *position) {
    if (position->slot->state == SLOT_LIVE)
        return position->start + position->slot->bytes;
    return end_of(position) - (position->slot->has_canary ? SLOT_CANARY : 0);
}

/* Writes the canary that fills a slot from `canary` to its end. */
static void tail_write(const struct position *position, char *canary) {
    canary_write(position->slab->secret, canary, end_of(position), canary_nul(canary, end_of(position)));
}

/* The first changed byte of the canary from `canary` on, or the slot's end. */
static const char *tail_look(const struct position *position, const char *canary) {
    return canary_look(position->slab->secret, canary, end_of(position), canary_nul(canary, end_of(position)));
}

/* The first byte of a slot that is not what it must be, NULL if all are. */
static const char *changed(const struct position *position) {
    const char *canary = canary_start(position), *at = canary;
    if (!can_look(position))
        return NULL;
    if (position->slot->state != SLOT_LIVE)
        at = position->start + canary_zeros(position->start, (size_t)(canary - position->start));
    if (at == canary)
        at = tail_look(position, canary);
    return at < end_of(position) ? at : NULL;
}

static void mark_reported(const struct position *position) {
    position->slot->reported = !fault_has_handler();
}

/* Around a changed byte of the slot's canary or, in a free slot, of the zeros before it. */
static void dump(const struct position *position, const char *at, struct fault *fault) {
    const char *canary = canary_start(position), *end = end_of(position);
    if (at < canary)
        fault_dump_pattern(fault, at, position->start, canary, 0);
    else
        fault_dump_canary(fault, at, canary, end, position->slab->secret, canary_nul(canary, end));
}

/* Notes what is wrong with a slot's own memory; false if nothing is. */
static bool look(const struct position *position, struct fault *fault) {
    const char *at = changed(position);
    if (at == NULL)
        return false;
    note(fault, position->slot->state == SLOT_LIVE ? FAULT_TAIL : FAULT_WRITTEN_FREED, position, at);
    dump(position, at, fault);
    mark_reported(position);
    return true;
}

/* Looks at the gap before the first slot, and mends it. */
static bool look_at_gap(const struct position *position, struct fault *fault) {
    char *from = position->start - min_size(position->range->gap, HEAD_LOOK);
    const char *at = canary_look_back(position->slab->secret, from, position->start, NULL);
    if (at == NULL)
        return false;
    note(fault, FAULT_HEAD, position, at);
    fault_dump_canary(fault, at, from, position->start, position->slab->secret, NULL);
    canary_write(position->slab->secret, from, position->start, NULL);
    return true;
}

/* The canary of a slot and, if it is free, a few bytes before that: all of it is looked at when it is used again. */
static bool is_whole_near(const struct position *position, const char *canary) {
    if (!can_look(position))
        return true;
    size_t zeros = position->slot->state == SLOT_LIVE ? 0 : min_size((size_t)(canary - position->start), HEAD_LOOK);
    return canary_zeros(canary - zeros, zeros) == zeros && tail_look(position, canary) == end_of(position);
}

/* What lies before a live block is the canary of its neighbour, free or not. If that is whole, or its first byte is among
 * those that have changed, somebody wrote to the neighbour or beyond its end; else it was this block's program. */
static bool look_at_neighbour(const struct position *position, struct fault *fault) {
    struct position before = position_before(position);
    const char *canary = canary_start(&before);
    if (is_whole_near(&before, canary))
        return false;
    const char *first = changed(&before);
    bool lives = before.slot->state == SLOT_LIVE;
    const char *end = end_of(&before), *last = canary_look_back(before.slab->secret, canary, end, canary_nul(canary, end));
    mark_reported(&before);
    if (before.slot->state != SLOT_UNUSED && (last == NULL || first == (lives ? canary : before.start)))
        note(fault, lives ? FAULT_TAIL : FAULT_WRITTEN_FREED, &before, first);
    else
        note(fault, FAULT_HEAD, position, last != NULL ? last : first);
    dump(&before, fault->kind == FAULT_HEAD && last != NULL ? last : first, fault);
    return true;
}

static bool look_before(const struct position *position, struct fault *fault) {
    if (!can_look(position))
        return false;
    return position->index > 0 ? look_at_neighbour(position, fault) : look_at_gap(position, fault);
}

/* ---- quarantine -------------------------------------------------------------------------------------------------- */

/* Looks at the free slots of a slab once more, before they are gone. */
static void slab_look(const struct range *range, uint32_t number, struct fault_list *faults) {
    for (uint32_t index = 0; index < range->slots; index++) {
        struct position position = position_at(range, number, index);
        struct fault fault = {0};
        if (look(&position, &fault))
            *fault_add(faults, FAULT_AT_RELEASE, position.start) = fault;
    }
}

/* Fills a slot as every free one is: zeros, then a canary. */
static void wipe(const struct position *position) {
    if (!range_has_memory(position->range))
        return;
    size_t canary = position->range->slot - SLOT_CANARY;
    memset(position->start, 0, canary);
    tail_write(position, position->start + canary);
    position->slot->has_canary = 1;
}

/* Gives a free slot without a canary one, so that a write before the next slot's start is seen. */
static void ensure_canary(const struct position *position) {
    if (!position->slot->has_canary && range_has_memory(position->range) && position->slot->state != SLOT_LIVE)
        tail_write(position, end_of(position) - SLOT_CANARY);
    position->slot->has_canary = 1;
}

/* Gives the slab's memory back. What the program wrote to its free slots is reported before. */
static void retire_slab(const struct range *range, uint32_t number, struct fault_list *faults) {
    slab_look(range, number, faults);
    slab_retire(range, number);
}

/* A slot whose time in quarantine is over may be used again. */
static void slot_release(const struct range *range, uint64_t ticket, struct fault_list *faults) {
    struct range_state *state = range->state;
    struct position position = position_of(range, ticket);
    struct fault fault = {0};
    bool damaged = look(&position, &fault);
    if (damaged)
        *fault_add(faults, FAULT_AT_RELEASE, position.start) = fault;
    if (damaged || position.slot->reported)
        wipe(&position);
    position.slot->reported = 0;
    position.slot->state = SLOT_FREED;
    position.slab->free[position.index / 64] |= UINT64_C(1) << (position.index % 64);
    if (position.slab->free_count++ == 0)
        slab_list(range, position.number);
    if (position.slab->free_count == range->slots && state->empty++ > 0)
        retire_slab(range, position.number, faults);
}

static size_t range_trim(const struct range *range, bool all, struct fault_list *faults) {
    struct range_state *state = range->state;
    size_t before = state->open;
    uint64_t ticket;
    while (all && (ticket = quarantine_pull(&state->quarantine)) != 0)
        slot_release(range, ticket, faults);
    for (uint32_t at = state->first, next; at != 0; at = next) {
        next = slab_at(range, at - 1)->next;
        if (slab_at(range, at - 1)->free_count == range->slots)
            retire_slab(range, at - 1, faults);
    }
    return (before - state->open) * range->slab + (all ? slabs_forget(range) : 0);
}

static size_t trim(bool all) {
    size_t bytes = 0;
    for (unsigned class = 0; range_plan != NULL && class < CLASS_COUNT; class++) {
        const struct range *range = &range_plan->ranges[class];
        struct fault_list faults;
        faults.count = 0;
        lock_acquire(&range->state->lock, LOCK_HARDENED);
        bytes += range_trim(range, all, &faults);
        lock_release(&range->state->lock, LOCK_HARDENED);
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

/* A random free slot of the first slab that has one; false if no slab can be opened. */
static bool slot_take(const struct range *range, struct position *position) {
    struct range_state *state = range->state;
    bool fresh = state->first == 0;
    if (fresh && !slab_open(range))
        return false;
    uint32_t number = state->first - 1;
    struct slab *slab = slab_at(range, number);
    if (fresh && range_has_memory(range))
        canary_write(slab->secret, slab_start(range, number), slab_start(range, number) + range->gap, NULL);
    uint32_t index = nth_bit(slab->free, random_below(&state->random, slab->free_count));
    *position = position_at(range, number, index);
    state->empty -= slab->free_count == range->slots;
    slab->free[index / 64] &= ~(UINT64_C(1) << (index % 64));
    if (--slab->free_count == 0)
        slab_unlist(range, number);
    return true;
}

static void slot_enter(const struct position *position, size_t bytes, size_t align, const char *call, uint32_t stack) {
    struct slot *slot = position->slot;
    slot->alloc_stack = stack;
    slot->alloc_thread = report_thread_life();
    slot->bytes = (uint32_t)bytes;
    slot->alloc_call = fault_call_number(call);
    slot->align_shift = (uint8_t)high_bit(align);
    slot->state = SLOT_LIVE;
    slot->reported = 0;
    position->state->live_blocks++;
    position->state->live_bytes += bytes;
    slot->has_canary = 1;
    if (!range_has_memory(position->range))
        return;
    tail_write(position, position->start + bytes);
    if (position->index > 0) {
        struct position before = position_before(position);
        ensure_canary(&before);
    }
}

/* The class of a request; CLASS_COUNT if it is too large. */
static unsigned class_for(size_t bytes, size_t align) {
    unsigned class = 0;
    if (bytes == 0 && align <= BLOCK_ALIGN)
        return 0;
    if (bytes <= HARDENED_SMALL_MOST && align <= OS_PAGE)
        class = align <= BLOCK_ALIGN ? class_of(bytes + SLOT_CANARY) : class_of_aligned(bytes + SLOT_CANARY, align);
    return class != 0 && bytes > 0 ? class : CLASS_COUNT;
}

static void *alloc(size_t bytes, size_t align, bool *zeroed, const char *call) {
    align = max_size(align, BLOCK_ALIGN);
    unsigned class = class_for(bytes, align);
    if (class == CLASS_COUNT)
        return NULL;
    const struct range *range = &range_plan->ranges[class];
    struct fault_list faults;
    struct position position;
    uint32_t stack = stacks_capture();
    *zeroed = true;
    faults.count = 0;
    lock_acquire(&range->state->lock, LOCK_HARDENED);
    bool done = slot_take(range, &position);
    if (done) {
        struct fault fault = {0};
        if (look(&position, &fault))
            *fault_add(&faults, call, position.start) = fault;
        if (faults.count > 0 || position.slot->reported)
            wipe(&position);
        slot_enter(&position, bytes, align, call, stack);
    }
    lock_release(&range->state->lock, LOCK_HARDENED);
    fault_tell_all(&faults);
    return done ? position.start : NULL;
}

/* ---- one block ---------------------------------------------------------------------------------------------------- */

static void lock(const void *p) {
    lock_acquire(&range_around(p)->state->lock, LOCK_HARDENED);
}

static void unlock(const void *p) {
    lock_release(&range_around(p)->state->lock, LOCK_HARDENED);
}

static enum found find(const void *p, struct fault_block *block) {
    struct position position = position_around(p);
    if (position.slot == NULL || position.slot->state == SLOT_UNUSED)
        return FOUND_NOTHING;
    *block = known(&position);
    return position.start != p ? FOUND_NEAR : position.slot->state == SLOT_LIVE ? FOUND_LIVE : FOUND_FREED;
}

static void look_at_block(const void *p, bool again, struct fault *fault) {
    struct position position = position_around(p);
    if (again)
        position.slot->reported = 0;
    if (!look(&position, fault) && position.slot->state == SLOT_LIVE)
        look_before(&position, fault);
}

static void *retire(void *p, const char *call, uint32_t stack, struct fault_list *faults) {
    struct position position = position_around(p);
    struct slot *slot = position.slot;
    slot->state = SLOT_HELD;
    slot->reported = 0;
    slot->free_call = fault_call_number(call);
    slot->free_stack = stack;
    slot->free_thread = report_thread_life();
    position.state->live_blocks--;
    position.state->live_bytes -= slot->bytes;
    wipe(&position);
    uint64_t out = quarantine_push(&position.state->quarantine, &position.state->random, position_ticket(&position));
    if (out != 0)
        slot_release(position.range, out, faults);
    return NULL;
}

static void shrink(void *p, size_t bytes, const char *call, uint32_t stack) {
    struct position position = position_around(p);
    position.state->live_bytes -= position.slot->bytes - bytes;
    position.slot->bytes = (uint32_t)bytes;
    position.slot->alloc_call = fault_call_number(call);
    position.slot->alloc_stack = stack;
    position.slot->alloc_thread = report_thread_life();
    if (range_has_memory(position.range))
        tail_write(&position, position.start + bytes);
}

/* ---- all blocks --------------------------------------------------------------------------------------------------- */

/* Looks at the slabs of a class from *number on until something is found to tell. */
static void range_look(const struct range *range, size_t *number, struct fault_list *faults) {
    lock_acquire(&range->state->lock, LOCK_HARDENED);
    for (; *number < range->state->frontier && faults->count == 0; ++*number)
        if (slab_was_opened(range, *number) && slab_at(range, (uint32_t)*number)->state == SLAB_OPEN)
            slab_look(range, (uint32_t)*number, faults);
    lock_release(&range->state->lock, LOCK_HARDENED);
}

/* The cursor: class, slab. */
static bool look_on(struct protection_cursor *cursor, struct fault_list *faults) {
    while (range_plan != NULL && cursor->at[0] < CLASS_COUNT) {
        range_look(&range_plan->ranges[cursor->at[0]], &cursor->at[1], faults);
        if (faults->count > 0)
            return true;
        cursor->at[0]++;
        cursor->at[1] = 0;
    }
    return false;
}

#define NEAR_SLABS 2 /* on each side, whose slots are looked at: one may be left out between two */
static void look_near_slab(const struct range *range, uint32_t number, const void *p, struct fault_block *block) {
    for (uint32_t index = 0; index < range->slots; index++) {
        struct position position = position_at(range, number, index);
        struct fault_block candidate = known(&position);
        if (position.slot->state != SLOT_UNUSED &&
            (block->start == NULL || fault_distance(&candidate, p) < fault_distance(block, p)))
            *block = candidate;
    }
}

static bool near(const void *p, struct fault_block *block) {
    bool taken;
    if (!owns(p))
        return false;
    const struct range *range = range_around(p);
    if (!lock_glimpse(&range->state->lock, &taken))
        return true;
    size_t at = (const char *)p > range->base ? (size_t)((const char *)p - range->base) / range->slab : 0;
    for (size_t number = at - min_size(at, NEAR_SLABS); number <= at + NEAR_SLABS; number++)
        if (slab_was_opened(range, number))
            look_near_slab(range, (uint32_t)number, p, block);
    if (taken)
        unlock(p);
    return true;
}

static void count(struct protection_totals *totals) {
    for (unsigned class = 0; range_plan != NULL && class < CLASS_COUNT; class++) {
        struct range_state *state = range_plan->ranges[class].state;
        lock_acquire(&state->lock, LOCK_HARDENED);
        totals->bytes += state->live_bytes;
        totals->blocks += state->live_blocks;
        totals->taken += state->open * range_plan->ranges[class].slab;
        lock_release(&state->lock, LOCK_HARDENED);
    }
}

const struct protection hardened_small_protection = {
    .mode = MODE_HARDENED,
    .alloc = alloc,
    .trim = trim,
    .owns = owns,
    .lock = lock,
    .unlock = unlock,
    .find = find,
    .look = look_at_block,
    .retire = retire,
    .shrink = shrink,
    .look_on = look_on,
    .count = count,
    .each_range = hardened_slab_each_range,
    .walk = hardened_slab_walk,
    .is_no_root = owns,
    .near = near,
};
