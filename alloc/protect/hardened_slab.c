/* SPDX-License-Identifier: MIT */
#include "protect/hardened_slab.h"

#include <stdatomic.h>
#include <string.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/readonly.h"

#define RANGE_MOST (16 * GIB) /* of address space a class, half of it for the random base */
#define RANGE_LEAST (512 * KIB)
#define SLAB_TARGET (16 * KIB)
#define SLOTS_LEAST 8
#define SLOTS_LARGE 4               /* from LARGE_SLOT on */
#define LARGE_SLOT (8 * KIB)
#define WAIT_BYTES (64 * KIB)       /* of a class in each half of its quarantine, */
#define WAIT_MOST 128               /* but no more blocks than this, */
#define WAIT_LEAST 4                /* and no fewer than this */
#define RETIRED_LEAST 8             /* so many slabs are retired before one is opened again */
#define COMMIT_STEP (16 * KIB)
#define MAPPINGS_EACH (range_plan->grows ? 1u : 2u) /* that an open slab needs: reserved memory behind it is one more */
#define MAPPINGS_DEFAULT 65530      /* vm.max_map_count of most systems */

READONLY_PAGES(const struct range_plan *, range_plan) = {NULL};
READONLY_NAME(const struct range_plan *, range_plan);
static struct lock plan_lock; /* over the moment at which the plan is there */
static _Atomic size_t mappings; /* that open slabs need */

/* ---- start ------------------------------------------------------------------------------------------------------- */

static uint32_t slots_of(size_t slot) {
    size_t least = slot > LARGE_SLOT ? SLOTS_LARGE : SLOTS_LEAST;
    return (uint32_t)min_size(max_size(SLAB_TARGET / slot, least), SLOTS_MOST);
}

static uint32_t wait_of(size_t slot) {
    return (uint32_t)min_size(max_size(WAIT_BYTES / slot, WAIT_LEAST), WAIT_MOST);
}

static void shape(struct range *range, unsigned class) {
    range->slot = (uint32_t)max_size(class_bytes(class), BLOCK_ALIGN);
    range->slots = slots_of(range->slot);
    range->slab = (uint32_t)align_up((size_t)range->slot * range->slots, OS_PAGE);
    range->gap = range->slab - range->slot * range->slots;
    range->stride = (uint32_t)align_up(sizeof(struct slab) + range->slots * sizeof(struct slot), sizeof(uint64_t));
}

/* Of the even slabs, or the odd ones; and a page that stays reserved. */
static size_t records_bytes(const struct range *range) {
    return align_up(records_upto(range, range->slabs), COMMIT_STEP) + OS_PAGE;
}

static size_t mappings_allowed(void) {
    char text[32];
    size_t length = os_read_file("/proc/sys/vm/max_map_count", text, sizeof text), number;
    scan_number(text, length, 10, &number);
    return number > 0 ? number : MAPPINGS_DEFAULT;
}

/* Random bases in the space, states in the order of classes. */
static void lay_out(struct range_plan *fresh, char *space, char *records, char *states) {
    struct random random = {0};
    char *places = states + align_up(CLASS_COUNT * sizeof(struct range_state), CACHE_LINE);
    fresh->start = space;
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct range *range = &fresh->ranges[class];
        size_t shift = random_below(&random, (uint32_t)(fresh->bytes / 2 / OS_PAGE)) * OS_PAGE;
        range->base = space + class * fresh->bytes + shift;
        range->records[0] = records;
        range->records[1] = records + records_bytes(range);
        records += 2 * records_bytes(range);
        range->state = (struct range_state *)(void *)states + class;
        uint32_t wait = wait_of(range->slot);
        range->state->quarantine = (struct quarantine){.places = (uint64_t *)(void *)places, .random = wait, .queue = wait};
        range->state->frontier = 1; /* slab 0 stays reserved */
        places += 2 * sizeof(uint64_t) * wait;
    }
}

static size_t states_bytes(const struct range_plan *fresh) {
    size_t bytes = align_up(CLASS_COUNT * sizeof(struct range_state), CACHE_LINE);
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        bytes += 2 * sizeof(uint64_t) * wait_of(fresh->ranges[class].slot);
    return align_up(bytes, OS_PAGE);
}

/* Of all ranges, behind a page that stays reserved. */
static size_t all_records_bytes(const struct range_plan *plan) {
    size_t bytes = OS_PAGE;
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        bytes += 2 * records_bytes(&plan->ranges[class]);
    return bytes;
}

/* Addresses for ranges or records: a place of which only the first page is reserved, or else, *grows false, all of it. */
static char *reserve_at_start(size_t bytes, bool grows) {
    char *place = grows ? os_place(bytes) : NULL;
    if (!grows)
        return os_reserve(bytes);
    return place != NULL && os_reserve_at(place, OS_PAGE) ? place : NULL;
}

/* Ranges of this size, records for them, and the states. False if anything is refused, nothing is left behind then. */
static bool reserve(struct range_plan *fresh, size_t range_bytes, bool grows) {
    fresh->grows = grows;
    fresh->bytes = range_bytes;
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct range *range = &fresh->ranges[class];
        shape(range, class);
        range->slabs = (uint32_t)(range_bytes / 2 / range->slab);
    }
    size_t records = all_records_bytes(fresh);
    char *states = budget_map(states_bytes(fresh));
    char *space = states ? reserve_at_start(CLASS_COUNT * range_bytes, grows) : NULL;
    char *meta = space ? reserve_at_start(records, grows) : NULL;
    if (meta != NULL) {
        lay_out(fresh, space, meta + OS_PAGE, states);
        return true;
    }
    if (space != NULL)
        os_unmap(space, CLASS_COUNT * range_bytes);
    if (states != NULL)
        budget_unmap(states, states_bytes(fresh));
    return false;
}

/* Undoes it. */
static void give_back(const struct range_plan *fresh) {
    budget_unmap(fresh->ranges[0].state, states_bytes(fresh));
    os_unmap(fresh->ranges[0].records[0] - OS_PAGE, all_records_bytes(fresh));
    os_unmap(fresh->start, CLASS_COUNT * fresh->bytes);
}

/* From now on blocks are hardened. Under a lock that fork holds: it takes the locks of either all ranges or none. */
static void publish(const struct range_plan *fresh) {
    lock_acquire(&plan_lock, LOCK_HARDENED);
    for (unsigned class = 0; lock_is_forking() && class < CLASS_COUNT; class++) /* a handler of fork is the first to allocate */
        lock_acquire_forking(&fresh->ranges[class].state->lock);
    range_plan = fresh;
    lock_release(&plan_lock, LOCK_HARDENED);
}

bool ranges_start(void) {
    size_t bytes = align_up(sizeof(struct range_plan), OS_PAGE), limit = os_address_limit();
    struct range_plan *fresh = budget_map(bytes);
    if (fresh == NULL)
        return false;
    fresh->mappings_most = mappings_allowed() / 2;
    for (size_t range = RANGE_MOST; range >= RANGE_LEAST && !reserve(fresh, range, true);)
        range /= 2;
    for (size_t range = RANGE_MOST; fresh->start == NULL && range >= RANGE_LEAST; range /= 2)
        if (range <= max_size(limit / 4 / CLASS_COUNT, RANGE_LEAST))
            reserve(fresh, range, false);
    if (fresh->start == NULL || !readonly_open(&range_plan, sizeof range_plan) || !os_readonly(fresh, bytes)) {
        if (fresh->start != NULL)
            give_back(fresh);
        budget_unmap(fresh, bytes);
        return false;
    }
    publish(fresh);
    os_seal(fresh, bytes);
    return true;
}

/* ---- positions ------------------------------------------------------------------------------------------------------ */

const struct range *range_around(const void *p) {
    return &range_plan->ranges[(size_t)((const char *)p - range_plan->start) / range_plan->bytes];
}

struct position position_around(const void *p) {
    const struct range *range = range_around(p);
    struct position position = {.range = range, .state = range->state};
    if ((const char *)p < range->base)
        return position;
    size_t offset = (size_t)((const char *)p - range->base), number = offset / range->slab;
    if (!slab_was_opened(range, number))
        return position;
    position.number = (uint32_t)number;
    position.slab = slab_at(range, position.number);
    offset -= number * range->slab;
    if (offset < range->gap)
        return position;
    return position_at(range, position.number, (uint32_t)((offset - range->gap) / range->slot));
}

struct position position_at(const struct range *range, uint32_t number, uint32_t index) {
    struct slab *slab = slab_at(range, number);
    return (struct position){.range = range, .state = range->state, .slab = slab, .slot = &slab->slots[index],
                          .index = index, .number = number, .start = slot_start(range, number, index)};
}

/* ---- slabs ------------------------------------------------------------------------------------------------------- */

/* Lists of slabs by index + 1, linked both ways. */
static void list_append(const struct range *range, uint32_t *first, uint32_t *last, uint32_t number) {
    struct slab *slab = slab_at(range, number);
    slab->next = 0;
    slab->previous = *last;
    *(*last != 0 ? &slab_at(range, *last - 1)->next : first) = number + 1;
    *last = number + 1;
}

static void list_remove(const struct range *range, uint32_t *first, uint32_t *last, uint32_t number) {
    struct slab *slab = slab_at(range, number);
    *(slab->previous != 0 ? &slab_at(range, slab->previous - 1)->next : first) = slab->next;
    *(slab->next != 0 ? &slab_at(range, slab->next - 1)->previous : last) = slab->previous;
}

void slab_list(const struct range *range, uint32_t number) {
    list_append(range, &range->state->first, &range->state->last, number);
}

void slab_unlist(const struct range *range, uint32_t number) {
    list_remove(range, &range->state->first, &range->state->last, number);
}

/* What grows is reserved when it is needed. */
static bool reserve_more(char *start, size_t bytes) {
    return !range_plan->grows || os_reserve_at(start, bytes);
}

static void undo_reserve_more(char *start, size_t bytes) {
    if (range_plan->grows)
        os_unmap(start, bytes);
}

/* Makes the records up to that of a slab writable. */
static bool records_reach(const struct range *range, uint32_t number) {
    size_t end = align_up(records_upto(range, number), COMMIT_STEP), *writable = &range->state->records[number % 2];
    if (end <= *writable)
        return true;
    char *start = range->records[number % 2] + *writable;
    if (!reserve_more(start, end - *writable))
        return false;
    if (!budget_commit(start, end - *writable)) {
        undo_reserve_more(start, end - *writable);
        return false;
    }
    *writable = end;
    return true;
}

/* The slab to open: a retired one if at least RETIRED_LEAST are, so that each stays retired for a while; else a new one, else
 * any retired one. False if there is none. */
static bool slab_choose(const struct range *range, uint32_t *number) {
    struct range_state *state = range->state;
    bool fresh = state->frontier < range->slabs && state->retired < RETIRED_LEAST;
    *number = fresh || state->oldest == 0 ? state->frontier : state->oldest - 1;
    return *number < range->slabs && records_reach(range, *number);
}

static bool slab_commit(const struct range *range, char *start) {
    if (!range_has_memory(range))
        return true;
    if (!budget_charge(range->slab))
        return false;
    bool reserved = reserve_more(start, range->slab);
    if (!reserved || !os_commit(start, range->slab)) {
        if (reserved)
            undo_reserve_more(start, range->slab);
        budget_refund(range->slab);
        return false;
    }
    range->state->open++;
    return true;
}

bool slab_open(const struct range *range) {
    struct range_state *state = range->state;
    uint32_t number;
    if (!slab_choose(range, &number))
        return false;
    if (!slab_commit(range, slab_start(range, number)))
        return false;
    struct slab *slab = slab_at(range, number);
    if (slab->state == SLAB_RETIRED) {
        list_remove(range, &state->oldest, &state->newest, number);
        state->retired--;
    } else {
        bool apart = atomic_load_explicit(&mappings, memory_order_relaxed) < range_plan->mappings_most;
        state->frontier = number + (apart ? 2 : 1);
    }
    atomic_fetch_add_explicit(&mappings, range_has_memory(range) ? MAPPINGS_EACH : 0, memory_order_relaxed);
    slab->state = SLAB_OPEN;
    slab->secret = random_long(&state->random);
    slab->free_count = (uint16_t)range->slots;
    for (uint32_t i = 0; i < range->slots; i++) {
        slab->free[i / 64] |= UINT64_C(1) << (i % 64);
        slab->slots[i].reported = slab->slots[i].has_canary = 0;
    }
    slab_list(range, number);
    state->empty++;
    return true;
}

bool slab_retire(const struct range *range, uint32_t number) {
    struct range_state *state = range->state;
    if (range_has_memory(range)) {
        char *start = slab_start(range, number);
        if (range_plan->grows ? !os_unmap(start, range->slab) : !os_decommit(start, range->slab))
            return false;
        budget_refund(range->slab);
        state->open--;
        atomic_fetch_sub_explicit(&mappings, MAPPINGS_EACH, memory_order_relaxed);
    }
    slab_unlist(range, number);
    list_append(range, &state->oldest, &state->newest, number);
    slab_at(range, number)->state = SLAB_RETIRED;
    state->retired++;
    state->empty--;
    return true;
}

/* ---- what is known of retired slabs ------------------------------------------------------------------------------ */

/* Takes a slab out of the list of retired ones, and makes its record what one is that was never used. */
static void forget(const struct range *range, uint32_t number) {
    struct range_state *state = range->state;
    if (!slab_was_opened(range, number))
        return;
    list_remove(range, &state->oldest, &state->newest, number);
    state->retired--;
    memset(slab_at(range, number), 0, range->stride);
}

/* Gives back the memory of records of every second slab that lie behind those of the slabs up to the frontier. */
static size_t shorten_records(const struct range *range, unsigned parity) {
    struct range_state *state = range->state;
    size_t *writable = &state->records[parity], end = 0;
    if (state->frontier > parity)
        end = align_up(records_upto(range, state->frontier - 1 - (state->frontier - 1 - parity) % 2), COMMIT_STEP);
    size_t bytes = *writable > end ? *writable - end : 0;
    if (bytes == 0 || !budget_uncommit(range->records[parity] + end, bytes, range_plan->grows))
        return 0;
    *writable = end;
    return bytes;
}

size_t slabs_forget(const struct range *range) {
    struct range_state *state = range->state;
    uint32_t behind = state->frontier; /* the last open slab; 1 if there is none */
    while (behind > 1 && !(slab_was_opened(range, behind - 1) && slab_at(range, behind - 1)->state == SLAB_OPEN))
        behind--;
    uint32_t frontier = min_size(state->frontier, behind > 1 ? behind + 1 : 1);
    for (uint32_t number = frontier; number < state->frontier; number++)
        forget(range, number);
    state->frontier = frontier;
    return shorten_records(range, 0) + shorten_records(range, 1);
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

AT_START static struct lock *nth_range_lock(unsigned n) {
    return range_plan != NULL && n < CLASS_COUNT ? &range_plan->ranges[n].state->lock : NULL;
}

const struct lock_set range_locks = {.rank = LOCK_HARDENED, .lock = &plan_lock, .further = nth_range_lock};
