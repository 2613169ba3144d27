/* SPDX-License-Identifier: MIT */
#include "protect/hardened_mapped.h"

#include <string.h>

#include "base/address_map.h"
#include "base/canary.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/quarantine.h"
#include "kit/random.h"
#include "kit/report.h"

#define GUARDED_WIDE (2 * MIB)
#define GUARDED_MOST 16   /* OS pages on each side, 1 at least */
#define WAIT 64         /* freed blocks in each half of the quarantine */
#define LIMITED_PART 16 /* of the address space that RLIMIT_AS allows, at most so much is in quarantine */

enum state { NONE, LIVE, FREED };

struct record {
    char *start; /* of the block */
    size_t bytes;
    char *map, *data; /* the whole mapping; its pages that can be touched */
    size_t map_bytes, data_bytes;
    uint64_t secret;
    uint32_t alloc_stack, free_stack; /* stacks.h */
    uint8_t alloc_call, free_call;    /* fault_call_number */
    uint8_t align_shift, state;
    bool told;  /* that its memory is damaged */
    bool waits; /* is in quarantine */
};

static struct lock hardened_mapped_lock;
static struct address_map records = ADDRESS_MAP(struct record);
static struct random hardened_mapped_random;
static struct quarantine quarantine;
static uint64_t places[2 * WAIT] BIG_TABLE;
static size_t held_bytes, held_most; /* address space in quarantine */
static struct hardened_mapped_totals totals_now;

static struct record *find_locked(const void *start) {
    return address_map_find(&records, start);
}

bool hardened_mapped_start(void) {
    size_t limit = os_address_limit();
    quarantine = (struct quarantine){.places = places, .random = WAIT, .queue = WAIT};
    held_most = limit == SIZE_MAX ? LARGE_HELD_MOST : min_size(limit / LIMITED_PART, LARGE_HELD_MOST);
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    bool done = budget_grow_map(&records, 1);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    return done;
}

/* ---- looking at memory ------------------------------------------------------------------------------------------- */

static struct fault_block known(const struct record *record) {
    return (struct fault_block){.start = record->start, .bytes = record->bytes,
                                .align = (size_t)1 << record->align_shift,
                                .alloc_call = fault_call_name(record->alloc_call),
                                .free_call = fault_call_name(record->free_call), .alloc_stack = record->alloc_stack,
                                .free_stack = record->free_stack, .freed = record->state != LIVE};
}

static char *tail_of(const struct record *record) {
    return record->start + record->bytes;
}

static char *data_end(const struct record *record) {
    return record->data + record->data_bytes;
}

static void note(struct fault *fault, enum fault_kind kind, const struct record *record, const char *at) {
    fault->kind = kind;
    fault->block_known = true;
    fault->offset = at - record->start;
    fault->block = known(record);
}

/* Notes what is wrong with a live block's canaries; false if nothing is. */
static bool look(struct record *record, struct fault *fault) {
    if (record->state != LIVE || record->told)
        return false;
    const char *end = data_end(record), *behind = tail_of(record);
    const char *head = canary_look_back(record->secret, record->data, record->start, NULL);
    const char *tail = canary_look(record->secret, behind, end, canary_nul(behind, end));
    if (head == NULL && tail == end)
        return false;
    note(fault, head != NULL ? FAULT_HEAD : FAULT_TAIL, record, head != NULL ? head : tail);
    record->told = !fault_has_handler();
    return true;
}

static void write_canaries(const struct record *record) {
    char *end = data_end(record), *behind = tail_of(record);
    canary_write(record->secret, record->data, record->start, NULL);
    canary_write(record->secret, behind, end, canary_nul(behind, end));
}

/* ---- allocation -------------------------------------------------------------------------------------------------- */

/* Where address space is not limited, so wide that a write a MiB off lands in it. */
static size_t draw_guard_locked(void) {
    size_t least = os_address_limit() == SIZE_MAX ? GUARDED_WIDE : OS_PAGE;
    return least + random_below(&hardened_mapped_random, GUARDED_MOST) * OS_PAGE;
}

/* Reserves and opens what a block needs; false if refused. */
static bool map(struct record *record, size_t align, size_t before, size_t behind) {
    size_t slack = align > OS_PAGE ? align : 0, data = align_up(record->bytes, OS_PAGE);
    record->data_bytes = data;
    record->map_bytes = before + data + slack + behind;
    if (!budget_charge(data))
        return false;
    record->map = os_reserve(record->map_bytes);
    if (record->map != NULL) {
        record->data = (char *)align_up((uintptr_t)record->map + before, max_size(align, OS_PAGE));
        record->start = (char *)align_down((uintptr_t)record->data + data - record->bytes, align);
        if (data == 0 || os_commit(record->data, data))
            return true;
        os_unmap(record->map, record->map_bytes);
    }
    budget_refund(data);
    return false;
}

void *hardened_mapped_alloc(size_t bytes, size_t align, const char *call, uint32_t stack) {
    struct record record = {.bytes = bytes, .alloc_stack = stack, .alloc_call = fault_call_number(call),
                            .align_shift = (uint8_t)high_bit(align), .state = LIVE};
    if (bytes > SIZE_LIMIT / 2 || align > SIZE_LIMIT / 4)
        return NULL;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    size_t before = draw_guard_locked(), behind = draw_guard_locked();
    record.secret = random_long(&hardened_mapped_random);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    if (!map(&record, align, before, behind))
        return NULL;
    write_canaries(&record);
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    bool done = budget_grow_map(&records, 1);
    if (done) {
        *(struct record *)address_map_insert(&records, record.start) = record;
        totals_now.live += bytes;
        totals_now.live_blocks++;
        totals_now.taken += record.data_bytes;
    }
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    if (!done) {
        os_unmap(record.map, record.map_bytes);
        budget_refund(record.data_bytes);
        return NULL;
    }
    return record.start;
}

/* ---- free -------------------------------------------------------------------------------------------------------- */

/* The record of the block that `p` points into, or whose guards it does. */
static const struct record *around_locked(const void *p) {
    for (size_t i = 0; i < records.size; i++) {
        const struct record *record = address_map_at(&records, i);
        if (record != NULL && (uintptr_t)p - (uintptr_t)record->map < record->map_bytes)
            return record;
    }
    return NULL;
}

/* What is wrong with a pointer that must be a live block's start. NULL if it is none. */
static struct record *judge_pointer_locked(const void *p, const char *call, struct fault_list *faults) {
    struct record *record = find_locked(p);
    if (record != NULL && record->state == LIVE)
        return record;
    struct fault *fault = fault_add(faults, call, p);
    const struct record *around = record != NULL ? record : around_locked(p);
    fault->kind = FAULT_INVALID;
    if (around != NULL)
        note(fault, record != NULL ? fault_of_freed(call) : FAULT_INVALID, around, p);
    return NULL;
}

static void judge_block_locked(struct record *record, const char *call, size_t bytes, size_t align,
                               struct fault_list *faults) {
    struct fault fault = {0};
    if (!look(record, &fault)) {
        fault.block = known(record);
        fault.block_known = true;
        fault_judge(&fault, &fault.block, call, bytes, align);
    }
    if (fault.kind != FAULT_NONE)
        *fault_add(faults, call, record->start) = fault;
}

/* What was held back is unmapped, and its record forgotten if the OS agrees. The table does not change meanwhile but by
 * others' records, so the record is looked up again. */
static void unmap(const void *start) {
    struct record gone = {0};
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    struct record *record = find_locked(start);
    if (record != NULL) {
        gone = *record;
        held_bytes -= record->waits ? record->map_bytes : 0;
        record->waits = false;
    }
    /* Out of the table first: another thread may be given the addresses as soon as they are free. */
    if (record != NULL)
        address_map_remove(&records, record);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    if (gone.state == NONE)
        return;
    if (os_unmap(gone.map, gone.map_bytes))
        return;
    os_purge(gone.data, gone.data_bytes); /* addresses are lost, memory is not */
    gone.waits = false;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    if (budget_grow_map(&records, 1))
        *(struct record *)address_map_insert(&records, gone.start) = gone;
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
static void hold(const struct record *freed) {
    const void *out = freed->start;
    if (freed->data_bytes != 0 && !os_decommit(freed->data, freed->data_bytes)) {
        unmap(freed->start);
        budget_refund(freed->data_bytes);
        return;
    }
    budget_refund(freed->data_bytes);
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    struct record *record = find_locked(freed->start);
    held_bytes += freed->map_bytes;
    record->waits = true;
    out = (const void *)(uintptr_t)quarantine_push(&quarantine, &hardened_mapped_random, (uintptr_t)freed->start);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    for (; out != NULL; out = overdue(false))
        unmap(out);
}

void hardened_mapped_free(void *p, const char *call, size_t bytes, size_t align, uint32_t stack) {
    struct fault_list faults;
    struct record freed = {0};
    faults.count = 0;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    struct record *record = judge_pointer_locked(p, call, &faults);
    if (record != NULL) {
        judge_block_locked(record, call, bytes, align, &faults);
        record->state = FREED;
        record->free_call = fault_call_number(call);
        record->free_stack = stack;
        totals_now.live -= record->bytes;
        totals_now.live_blocks--;
        totals_now.taken -= record->data_bytes;
        freed = *record;
    }
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    if (freed.state == FREED)
        hold(&freed);
    fault_tell_all(&faults);
}

void hardened_mapped_trim(void) {
    for (const void *out; (out = overdue(true)) != NULL;)
        unmap(out);
}

/* ---- other calls ------------------------------------------------------------------------------------------------- */

bool hardened_mapped_owns(const void *p) {
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    bool owns = find_locked(p) != NULL;
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    return owns;
}

bool hardened_mapped_is_table(const void *p) {
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    bool is = address_map_covers(&records, p);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    return is;
}

bool hardened_mapped_size(const void *p, const char *call, size_t *bytes) {
    struct fault_list faults;
    faults.count = 0;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    const struct record *record = judge_pointer_locked(p, call, &faults);
    if (record != NULL)
        *bytes = record->bytes;
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    fault_tell_all(&faults);
    return record != NULL;
}

void hardened_mapped_shrink(void *p, size_t bytes) {
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    struct record *record = find_locked(p);
    if (record != NULL && record->state == LIVE && bytes < record->bytes) {
        totals_now.live -= record->bytes - bytes;
        record->bytes = bytes;
        write_canaries(record);
    }
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
}

enum mcheck_status hardened_mapped_probe(const void *p, const char *call) {
    struct fault_list faults;
    struct fault fault = {0};
    faults.count = 0;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    struct record *record = judge_pointer_locked(p, FAULT_USE, &faults);
    if (record != NULL) {
        record->told = false;
        if (look(record, &fault))
            *fault_add(&faults, call, p) = fault;
    }
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
    for (unsigned i = 0; i < faults.count; i++)
        faults.entries[i].call = call;
    fault_tell_all(&faults);
    return faults.count > 0 ? fault_status(faults.entries[0].fault.kind) : MCHECK_OK;
}

/* Looks at the records from *at on until faults are found; false if none are. */
static bool look_on_locked(size_t *at, const char *call, struct fault_list *faults) {
    struct fault fault = {0};
    for (faults->count = 0; *at < records.size && faults->count == 0; ++*at) {
        struct record *record = address_map_at(&records, *at);
        if (record != NULL && look(record, &fault))
            *fault_add(faults, call, record->start) = fault;
    }
    return faults->count > 0;
}

void hardened_mapped_check(const char *call) {
    struct fault_list faults;
    bool found = !fault_is_telling();
    for (size_t at = 0; found;) {
        lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
        found = look_on_locked(&at, call, &faults);
        lock_release(&hardened_mapped_lock, LOCK_HARDENED);
        fault_tell_all(&faults);
    }
}

void hardened_mapped_count(struct hardened_mapped_totals *totals) {
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    *totals = totals_now;
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
}

void hardened_mapped_walk(struct walk *walk) {
    struct hardened_mapped_totals sums = {0};
    size_t held = 0;
    lock_acquire(&hardened_mapped_lock, LOCK_HARDENED);
    for (size_t i = 0; i < records.size; i++) {
        const struct record *record = address_map_at(&records, i);
        if (record == NULL)
            continue;
        held += record->waits ? record->map_bytes : 0;
        sums.live += record->state == LIVE ? record->bytes : 0;
        sums.live_blocks += record->state == LIVE;
        sums.taken += record->state == LIVE ? record->data_bytes : 0;
        bool nested = record->map < record->data && record->data <= record->start &&
                      tail_of(record) <= data_end(record) && data_end(record) < record->map + record->map_bytes;
        report_walk(walk, nested, "harden P5", record);
    }
    const void *lost = address_map_verify(&records);
    report_walk(walk, lost == NULL, "harden P5", lost);
    report_walk(walk, held == held_bytes, "harden P5", &held_bytes);
    report_walk(walk, sums.live == totals_now.live && sums.live_blocks == totals_now.live_blocks &&
                sums.taken == totals_now.taken, "harden P5", &totals_now);
    lock_release(&hardened_mapped_lock, LOCK_HARDENED);
}

const struct lock_set hardened_mapped_locks = {.rank = LOCK_HARDENED, .lock = &hardened_mapped_lock};
