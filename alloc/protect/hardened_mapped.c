/* SPDX-License-Identifier: MIT */
#include "protect/hardened_mapped.h"

#include "base/address_map.h"
#include "base/canary.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/modes.h"
#include "kit/quarantine.h"
#include "kit/random.h"
#include "kit/report.h"
#include "callers/stacks.h"
#include "protect/hardened_lanes.h"
#include "protect/hardened_pages.h"
#include "protect/hardened_slab.h"

#define WAIT 64         /* freed blocks in each half of the quarantine */
#define LIMITED_PART 16 /* of the address space that RLIMIT_AS allows, at most so much is in quarantine */

enum state { NONE, LIVE, FREED };

struct record {
    struct pages at; /* its first member is the block's start */
    uint64_t secret;
    uint32_t alloc_stack, free_stack; /* stacks.h */
    int alloc_thread, free_thread;    /* lives (kit/thread_names.h) */
    uint8_t alloc_call, free_call;    /* fault_call_number */
    uint8_t align_shift, state;
    bool reported; /* its damage was printed already (mcheck's function is told each time) */
    bool waits;    /* is in quarantine */
};

static struct lock hardened_mapped_lock;
static struct address_map records = ADDRESS_MAP(struct record);
extern HIDDEN struct address_map hardened_mapped_table __attribute__((alias("records")));
static struct random hardened_mapped_random;
static struct quarantine quarantine;
static uint64_t places[2 * WAIT] BIG_TABLE;
static size_t held_bytes, held_most; /* reserved address space in quarantine */
static size_t apart, mappings;       /* records that are not joined, and the mappings that their pages and guards are */
static size_t promised;              /* room in the table for records that are about to be inserted */
static struct protection_totals live;
extern HIDDEN struct protection_totals hardened_mapped_live __attribute__((alias("live")));

static struct record *find_locked(const void *start) {
    return address_map_find(&records, start);
}

bool hardened_mapped_start(void) {
    size_t limit = os_address_limit();
    quarantine = (struct quarantine){.places = places, .random = WAIT, .queue = WAIT};
    held_most = limit == SIZE_MAX ? LARGE_HELD_MOST : min_size(limit / LIMITED_PART, LARGE_HELD_MOST);
    lanes_start();
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    bool done = budget_grow_map(&records, 1);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    return done;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Room for a record, which insert_locked or nothing takes up. False if memory is refused. */
static bool promise_locked(void) {
    if (!budget_grow_map(&records, promised + 1))
        return false;
    promised++;
    return true;
}

static void insert_locked(const struct record *record) {
    *(struct record *)address_map_insert(&records, record->at.start) = *record;
    promised--;
    apart += !record->at.joined;
    mappings += pages_mappings(&record->at);
}

static void remove_locked(struct record *record) {
    apart -= !record->at.joined;
    mappings -= pages_mappings(&record->at);
    address_map_remove(&records, record);
}

/* ---- looking at memory ------------------------------------------------------------------------------------------- */

static struct fault_block known(const struct record *record) {
    return (struct fault_block){.start = record->at.start, .bytes = record->at.bytes,
                                .align = (size_t)1 << record->align_shift,
                                .alloc_call = fault_call_name(record->alloc_call),
                                .free_call = fault_call_name(record->free_call), .alloc_stack = record->alloc_stack,
                                .free_stack = record->free_stack, .alloc_thread = record->alloc_thread,
                                .free_thread = record->free_thread, .freed = record->state != LIVE};
}

static void note(struct fault *fault, enum fault_kind kind, const struct record *record, const char *at) {
    fault->kind = kind;
    fault->block_known = true;
    fault->offset = at - record->at.start;
    fault->block = known(record);
}

/* Notes what is wrong with a live block's canaries; false if nothing is. A freed block's pages cannot be read. */
static bool look(struct record *record, struct fault *fault) {
    if (record->state != LIVE || record->reported)
        return false;
    const char *end = pages_end(&record->at), *behind = pages_tail(&record->at);
    const char *head = canary_look_back(record->secret, record->at.data, record->at.start, NULL);
    const char *tail = canary_look(record->secret, behind, end, canary_nul(behind, end));
    if (head == NULL && tail == end)
        return false;
    note(fault, head != NULL ? FAULT_HEAD : FAULT_TAIL, record, head != NULL ? head : tail);
    if (head != NULL)
        fault_dump_canary(fault, head, record->at.data, record->at.start, record->secret, NULL);
    else
        fault_dump_canary(fault, tail, behind, end, record->secret, canary_nul(behind, end));
    record->reported = !fault_has_handler();
    return true;
}

static void write_tail(const struct record *record) {
    char *end = pages_end(&record->at), *behind = pages_tail(&record->at);
    canary_write(record->secret, behind, end, canary_nul(behind, end));
}

/* ---- blocks without guards --------------------------------------------------------------------------------------- */

/* A process may have 65,530 mappings (vm.max_map_count). Once blocks between guards have a quarter of them, beside the half
 * that slabs may have, further blocks get none: the kernel joins their pages to those beside them. A canary behind each then
 * takes the guard's place, and a freed one stays in quarantine as zeros. */
static bool must_join_locked(void) {
    static bool said;
    if (range_plan == NULL || mappings < range_plan->mappings_most / 2)
        return false;
    if (!said)
        report_line("protect:paranoid: %z large blocks lie between pages that cannot be touched, which is a quarter of the "
                    "mappings that the system allows (vm.max_map_count); further ones lie side by side", apart);
    said = true;
    return true;
}

/* ---- allocation -------------------------------------------------------------------------------------------------- */

/* Room in the table, and a slot if there is one for it. */
static bool prepare_locked(struct record *record, size_t align, size_t *shift) {
    if (!promise_locked())
        return false;
    *shift = random_below(&hardened_mapped_random, PAGES_SHIFTS) * OS_PAGE;
    record->secret = random_long(&hardened_mapped_random);
    record->at.joined = must_join_locked();
    if (!record->at.joined)
        pages_take_slot(&record->at, align, &hardened_mapped_random);
    return true;
}

/* What comes of an allocation: its record, or nothing; a slot that it has not used is given back. */
static void conclude(const struct record *record, const char *slot, bool done) {
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    if (slot != NULL && !(done && record->at.in_lane))
        lanes_give(slot);
    if (done) {
        insert_locked(record);
        live.bytes += record->at.bytes;
        live.blocks++;
        live.taken += record->at.data_bytes;
    } else {
        promised--;
    }
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
}

static void *alloc(size_t bytes, size_t align, bool *zeroed, const char *call) {
    align = max_size(align, BLOCK_ALIGN);
    struct record record = {.at.bytes = bytes, .alloc_stack = stacks_capture(), .alloc_call = fault_call_number(call),
                            .alloc_thread = report_thread_life(), .align_shift = (uint8_t)high_bit(align), .state = LIVE};
    size_t shift;
    *zeroed = true;
    if (bytes > SIZE_LIMIT / 2 || align > SIZE_LIMIT / 4)
        return NULL;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    bool prepared = prepare_locked(&record, align, &shift);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    if (!prepared)
        return NULL;
    const char *slot = record.at.in_lane ? record.at.map : NULL;
    bool done = pages_map(&record.at, align, shift);
    if (done) {
        canary_write(record.secret, record.at.data, record.at.start, NULL);
        write_tail(&record);
    }
    conclude(&record, slot, done);
    return done ? record.at.start : NULL;
}

/* ---- free -------------------------------------------------------------------------------------------------------- */

/* The record of the block that `p` points into, or whose guards it does. */
static const struct record *around_locked(const void *p) {
    for (size_t i = 0; i < records.size; i++) {
        const struct record *record = address_map_at(&records, i);
        if (record != NULL && (uintptr_t)p - (uintptr_t)record->at.map < record->at.map_bytes)
            return record;
    }
    return NULL;
}

static size_t held_of(const struct record *record) {
    return record->waits && !record->at.in_lane ? record->at.map_bytes : 0;
}

/* What was held back is unmapped, and its record forgotten if the OS agrees. The table does not change meanwhile but by
 * others' records, so the record is looked up again. */
static void unmap(const void *start) {
    struct record gone = {0};
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    struct record *record = find_locked(start);
    if (record != NULL) {
        gone = *record;
        held_bytes -= held_of(record);
        promised++; /* should it come back */
        remove_locked(record); /* first: another thread may be given the addresses as soon as they are free */
    }
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    if (gone.state == NONE)
        return;
    gone.waits = false;
    bool done = pages_unmap(&gone.at);
    if (!done)
        os_discard(gone.at.data, gone.at.data_bytes); /* addresses are lost, memory is not */
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    if (!done)
        insert_locked(&gone);
    else
        promised--;
    if (done && gone.at.in_lane)
        lanes_give(gone.at.map);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
}

/* The next to leave quarantine because it holds more than it may, or because `all` must. NULL if none need to. */
static const void *overdue(bool all) {
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    const void *start = NULL;
    if (all || held_bytes > held_most)
        start = (const void *)(uintptr_t)quarantine_pull(&quarantine);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    return start;
}

/* Pages of a freed block go back; what leaves the quarantine for it, and what is too much in there, is unmapped. */
static void hold(void *start, const char *call) {
    (void)call;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    struct record freed = *find_locked(start); /* it stays in the table until it has been in the quarantine */
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    bool kept = pages_close(&freed.at);
    budget_refund(freed.at.data_bytes);
    if (!kept) {
        unmap(start);
        return;
    }
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    struct record *record = find_locked(start);
    record->waits = true;
    record->at.unmapped = freed.at.unmapped;
    held_bytes += held_of(record);
    const void *out = (const void *)(uintptr_t)quarantine_push(&quarantine, &hardened_mapped_random, (uintptr_t)start);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    for (; out != NULL; out = overdue(false))
        unmap(out);
}

static size_t trim(bool all) {
    for (const void *out; all && (out = overdue(true)) != NULL;)
        unmap(out);
    return 0;
}

/* ---- one block ---------------------------------------------------------------------------------------------------- */

static void lock(const void *p) {
    (void)p;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
}

static void unlock(const void *p) {
    (void)p;
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
}

static bool owns(const void *p) {
    lock(p);
    bool owns = find_locked(p) != NULL;
    unlock(p);
    return owns;
}

static enum found find(const void *p, struct fault_block *block) {
    const struct record *record = find_locked(p), *around = record != NULL ? record : around_locked(p);
    if (around == NULL)
        return FOUND_NOTHING;
    *block = known(around);
    return record == NULL ? FOUND_NEAR : record->state == LIVE ? FOUND_LIVE : FOUND_FREED;
}

static void look_at_block(const void *p, bool again, struct fault *fault) {
    struct record *record = find_locked(p);
    record->reported &= !again;
    look(record, fault);
}

static void *retire(void *p, const char *call, uint32_t stack, struct fault_list *faults) {
    struct record *record = find_locked(p);
    (void)faults;
    record->state = FREED;
    record->free_call = fault_call_number(call);
    record->free_stack = stack;
    record->free_thread = report_thread_life();
    live.bytes -= record->at.bytes;
    live.blocks--;
    live.taken -= record->at.data_bytes;
    return p;
}

static void shrink(void *p, size_t bytes, const char *call, uint32_t stack) {
    struct record *record = find_locked(p);
    live.bytes -= record->at.bytes - bytes;
    record->at.bytes = bytes;
    record->alloc_call = fault_call_number(call);
    record->alloc_stack = stack;
    record->alloc_thread = report_thread_life();
    write_tail(record);
}

/* ---- all blocks --------------------------------------------------------------------------------------------------- */

/* The cursor: number of the entry. What the table's growth moves meanwhile may be looked at twice, or not. */
static bool look_on(struct protection_cursor *cursor, struct fault_list *faults) {
    lock(NULL);
    for (; cursor->at[0] < records.size && faults->count == 0; cursor->at[0]++) {
        struct record *record = address_map_at(&records, cursor->at[0]);
        struct fault fault = {0};
        if (record != NULL && look(record, &fault))
            *fault_add(faults, "", record->at.start) = fault;
    }
    unlock(NULL);
    return faults->count > 0;
}

static bool is_no_root(const void *p) {
    lock(NULL);
    bool is = address_map_covers(&records, p);
    unlock(NULL);
    return is;
}

/* ---- traps -------------------------------------------------------------------------------------------------------- */

/* True if the address is among some block's. The nearest block counts, if it is no farther away than a lane's least slot is
 * long. */
static bool look_near(const void *p, struct fault_block *block) {
    size_t least = LANE_FIRST;
    bool ours = lanes_own(p);
    for (size_t i = 0; i < records.size; i++) {
        const struct record *record = address_map_at(&records, i);
        if (record == NULL)
            continue;
        struct fault_block candidate = known(record);
        size_t far = fault_distance(&candidate, p);
        ours |= (uintptr_t)p - (uintptr_t)record->at.map < record->at.map_bytes;
        if (far < least) {
            least = far;
            *block = candidate;
        }
    }
    return ours;
}

static bool near(const void *p, struct fault_block *block) {
    bool taken;
    if (!lock_glimpse(&hardened_mapped_lock, &taken))
        return lanes_own(p);
    bool ours = look_near(p, block);
    if (taken)
        unlock(NULL);
    return ours;
}

static void count(struct protection_totals *totals) {
    lock(NULL);
    *totals = live;
    unlock(NULL);
}

static void walk(struct walk *walk) {
    struct protection_totals sums = {0};
    size_t held = 0, slots = 0, taken;
    lock(NULL);
    for (size_t i = 0; i < records.size; i++) {
        const struct record *record = address_map_at(&records, i);
        if (record == NULL)
            continue;
        held += held_of(record);
        slots += record->at.in_lane;
        sums.bytes += record->state == LIVE ? record->at.bytes : 0;
        sums.blocks += record->state == LIVE;
        sums.taken += record->state == LIVE ? record->at.data_bytes : 0;
        report_walk(walk, pages_are_nested(&record->at), "harden P5", record);
    }
    const void *lost = address_map_verify(&records);
    report_walk(walk, lost == NULL, "harden P5", lost);
    report_walk(walk, held == held_bytes, "harden P5", &held_bytes);
    report_walk(walk, lanes_verify(&taken) && slots <= taken && taken <= slots + promised,
                "harden P7", &taken);
    report_walk(walk, sums.bytes == live.bytes && sums.blocks == live.blocks &&
                sums.taken == live.taken, "harden P5", &live);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
}

const struct lock_set hardened_mapped_locks = {.rank = LOCK_HARDENED, .lock = &hardened_mapped_lock};

static void each_range(protection_see_range *see, void *data) {
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    for (size_t i = 0; i < records.size; i++) {
        const struct record *record = address_map_at(&records, i);
        if (record != NULL && !record->at.unmapped)
            see(record->at.data, record->at.data_bytes, true, data);
    }
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
}

const struct protection hardened_mapped_protection = {
    .mode = MODE_HARDENED,
    .serves_all = true,
    .alloc = alloc,
    .trim = trim,
    .owns = owns,
    .lock = lock,
    .unlock = unlock,
    .find = find,
    .look = look_at_block,
    .retire = retire,
    .release = hold,
    .shrink = shrink,
    .look_on = look_on,
    .count = count,
    .each_range = each_range,
    .walk = walk,
    .is_no_root = is_no_root,
    .near = near,
};
