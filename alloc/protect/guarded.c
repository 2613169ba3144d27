/* SPDX-License-Identifier: MIT */
#include "protect/guarded.h"

#include "base/canary.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/modes.h"
#include "kit/report.h"
#include "heap/cache.h"
#include "callers/stacks.h"
#include "protect/guarded_events.h"
#include "protect/guarded_pool.h"
#include "protect/sampler.h"

static struct protection_totals live;
extern HIDDEN struct protection_totals guarded_live __attribute__((alias("live")));
static struct lock guarded_lock;

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* At the end of its pages, as near as the alignment allows, or at their start. A block of 0 bytes lies at the edge of a guard
 * page and has no page. */
static char *place(char *pages, size_t room, size_t bytes, size_t align) {
    return sampler_draw() >> 63 ? pages : pages + align_down(room - bytes, align);
}

/* No NUL in them: nothing lies behind that a string could show, the next page cannot be touched. */
static void canaries_write(const struct guarded_slot *slot, char *pages) {
    char *block = pages + (slot->block.start - pages);
    canary_write(guarded_pool.secret, pages, block, NULL);
    canary_write(guarded_pool.secret, block + slot->block.bytes, pages + slot->pages * OS_PAGE, NULL);
}

/* Finds the changed byte next to the block. */
static void canaries_look(const struct guarded_slot *slot, const char *pages, struct fault *fault) {
    const char *block = slot->block.start, *end = block + slot->block.bytes, *last = pages + slot->pages * OS_PAGE;
    const char *before = canary_look_back(guarded_pool.secret, pages, block, NULL);
    const char *behind = canary_look(guarded_pool.secret, end, last, NULL);
    if (before == NULL && behind == last)
        return;
    fault->kind = before != NULL ? FAULT_HEAD : FAULT_TAIL;
    const char *at = before != NULL ? before : behind;
    fault->offset = at - block;
    fault_dump_canary(fault, at, before != NULL ? pages : end, before != NULL ? block : last, guarded_pool.secret, NULL);
}

static void note_locked(const struct guarded_slot *slot, const char *call, uint32_t stack) {
    guarded_events_add(&(struct guarded_event){slot->block.start, slot->block.bytes, call, stack, report_thread_life()});
}

static void count_locked(const struct guarded_slot *slot, bool enters) {
    size_t pages = slot->pages * OS_PAGE;
    live.blocks += enters ? 1 : (size_t)-1;
    live.bytes += enters ? slot->block.bytes : -slot->block.bytes;
    live.taken += enters ? pages : -pages;
    live.samples += enters;
}

static void *alloc_locked(size_t bytes, size_t align, const char *call, uint32_t here) {
    size_t pages = guarded_pages_for(bytes), room = pages * OS_PAGE;
    struct guarded_size *size = guarded_size_for(pages);
    struct guarded_slot *slot = live.taken / OS_PAGE + pages <= guarded_pool.pages_most ? guarded_slot_next(size) : NULL;
    if (slot == NULL || !budget_charge(room))
        return NULL;
    char *first = guarded_pages_of(size, slot);
    if (slot->exposed)
        guarded_slot_close(slot, first, slot->pages * OS_PAGE);
    if (!guarded_slot_open(slot, first, room)) {
        budget_refund(room);
        return NULL;
    }
    guarded_slot_take(size, slot);
    slot->block = (struct fault_block){.start = place(first, room, bytes, align), .bytes = bytes, .align = align};
    slot->block.alloc_call = call;
    slot->block.alloc_stack = here;
    slot->block.alloc_thread = report_thread_life();
    slot->pages = (uint8_t)pages;
    slot->state = GUARDED_LIVE;
    canaries_write(slot, first);
    count_locked(slot, true);
    note_locked(slot, call, here);
    return first + (slot->block.start - first);
}

static void *alloc(size_t bytes, size_t align, const char *call) {
    align = max_size(align, BLOCK_ALIGN);
    if (bytes > GUARDED_BYTES_MOST || align > OS_PAGE)
        return NULL;
    const struct guarded_size *size = guarded_size_for(guarded_pages_for(bytes));
    if (!sampler_self.due && size->used == size->count)
        return NULL;
    void *p = NULL;
    if (live.taken / OS_PAGE < guarded_pool.pages_most) { /* no call stack for nothing */
        uint32_t here = stacks_capture();
        lock_acquire(&guarded_lock, LOCK_GUARDED);
        p = alloc_locked(bytes, align, call, here);
        lock_release(&guarded_lock, LOCK_GUARDED);
    }
    if (sampler_self.due)
        sampler_done();
    return p;
}

/* An allocation that one of the thread's lists serves does not come here. So that those have their part, every second sample
 * that is due goes to the next allocation of another size, whose list is taken away for it. */
static void *alloc_if_due(size_t bytes, size_t align, bool *zeroed, const char *call) {
    *zeroed = true;
    if (LIKELY(!sampler_is_due(cache_stands_for(bytes))))
        return NULL;
    return sampler_passes_on() && cache_set_aside() ? NULL : alloc(bytes, align, call);
}

bool guarded_owns(const void *p) {
    return (uintptr_t)p - guarded_pool.start < guarded_pool.bytes;
}

static size_t trim(bool all) {
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    size_t bytes = all ? guarded_pool_trim() : 0;
    lock_release(&guarded_lock, LOCK_GUARDED);
    return bytes;
}

static bool is_no_root(const void *p) {
    return guarded_owns(p) || (uintptr_t)p - (uintptr_t)guarded_pool.sizes[0].slots < guarded_pool.records_bytes;
}

/* ---- one block ---------------------------------------------------------------------------------------------------- */

static void lock(const void *p) {
    (void)p;
    lock_acquire(&guarded_lock, LOCK_GUARDED);
}

static void unlock(const void *p) {
    (void)p;
    lock_release(&guarded_lock, LOCK_GUARDED);
}

static enum found find(const void *p, struct fault_block *block) {
    struct guarded_size *size;
    const struct guarded_slot *slot = guarded_slot_at(p, &size);
    if (slot == NULL || slot->state == GUARDED_UNUSED)
        return FOUND_NOTHING;
    *block = slot->block;
    return slot->block.start != p ? FOUND_NEAR : slot->state == GUARDED_LIVE ? FOUND_LIVE : FOUND_FREED;
}

/* Pages of a freed block cannot be touched. */
static void look(const void *p, bool again, struct fault *fault) {
    struct guarded_size *size;
    const struct guarded_slot *slot = guarded_slot_at(p, &size);
    (void)again;
    if (slot->state == GUARDED_LIVE)
        canaries_look(slot, guarded_pages_of(size, slot), fault);
}

static void *retire(void *p, const char *call, uint32_t stack, struct fault_list *faults) {
    struct guarded_size *size;
    struct guarded_slot *slot = guarded_slot_at(p, &size);
    (void)faults;
    slot->block.free_call = call;
    slot->block.free_stack = stack;
    slot->block.free_thread = report_thread_life();
    slot->block.freed = true;
    slot->state = GUARDED_FREED;
    guarded_slot_close(slot, guarded_pages_of(size, slot), slot->pages * OS_PAGE);
    guarded_slot_append(size, slot);
    count_locked(slot, false);
    note_locked(slot, call, stack);
    budget_refund(slot->pages * OS_PAGE);
    return NULL;
}

static void shrink(void *p, size_t bytes, const char *call, uint32_t stack) {
    struct guarded_size *size;
    struct guarded_slot *slot = guarded_slot_at(p, &size);
    live.bytes -= slot->block.bytes - bytes;
    slot->block.bytes = bytes;
    slot->block.alloc_call = call;
    slot->block.alloc_stack = stack;
    slot->block.alloc_thread = report_thread_life();
    canary_write(guarded_pool.secret, (char *)p + bytes, guarded_pages_of(size, slot) + slot->pages * OS_PAGE, NULL);
}

/* The cursor: size, slot. Freed blocks cannot have been touched. */
static bool look_on(struct protection_cursor *cursor, struct fault_list *faults) {
    lock(NULL);
    for (; cursor->at[0] < GUARDED_SIZES && faults->count == 0; cursor->at[0]++, cursor->at[1] = 0)
        for (const struct guarded_size *size = &guarded_pool.sizes[cursor->at[0]]; cursor->at[1] < size->used;) {
            const struct guarded_slot *slot = &size->slots[cursor->at[1]++];
            struct fault fault = {.block = slot->block, .block_known = true, .more = guarded_events_say};
            if (slot->state == GUARDED_LIVE)
                canaries_look(slot, guarded_pages_of(size, slot), &fault);
            if (fault.kind == FAULT_NONE)
                continue;
            canaries_write(slot, guarded_pages_of(size, slot)); /* so that it is told once */
            *fault_add(faults, "", slot->block.start) = fault;
            unlock(NULL);
            return true;
        }
    unlock(NULL);
    return false;
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

/* An address in a guard page may belong to the block on either side; both are looked at. */
bool guarded_near(const void *p, struct fault_block *block) {
    struct guarded_size *size;
    const struct guarded_slot *best = NULL, *slot = guarded_slot_at((const char *)p + OS_PAGE, &size);
    for (unsigned i = 0; i < 2; i++, slot = guarded_slot_at(p, &size))
        if (slot != NULL && slot->state != GUARDED_UNUSED &&
            (best == NULL || fault_distance(&slot->block, p) < fault_distance(&best->block, p)))
            best = slot;
    if (best != NULL)
        *block = best->block;
    return best != NULL;
}

static bool near(const void *p, struct fault_block *block) {
    bool ours = guarded_owns(p);
    if (ours)
        guarded_near(p, block);
    return ours;
}

static void count(struct protection_totals *totals) {
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    *totals = live;
    lock_release(&guarded_lock, LOCK_GUARDED);
}

static bool lies_in_its_pages(const struct guarded_size *size, const struct guarded_slot *slot) {
    const char *first = guarded_pages_of(size, slot), *block = slot->block.start;
    return block >= first && block + slot->block.bytes <= first + slot->pages * OS_PAGE &&
           (uintptr_t)block % slot->block.align == 0;
}

static void walk_size_locked(struct walk *walk, const struct guarded_size *size, struct protection_totals *found) {
    size_t freed = 0, listed = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < size->count; i++) {
        const struct guarded_slot *slot = &size->slots[i];
        report_walk(walk, (slot->state == GUARDED_UNUSED) == (i >= size->used), "guard G1", slot);
        freed += slot->state == GUARDED_FREED;
        if (slot->state != GUARDED_LIVE)
            continue;
        found->blocks++;
        found->bytes += slot->block.bytes;
        found->taken += slot->pages * OS_PAGE;
        report_walk(walk, lies_in_its_pages(size, slot), "guard G3", slot);
    }
    for (uint32_t at = size->oldest; at != 0 && listed <= freed; last = at, at = size->slots[at - 1].next, listed++)
        if (!report_walk(walk, at <= size->used && size->slots[at - 1].state == GUARDED_FREED, "guard G1", size))
            return;
    report_walk(walk, listed == freed && last == size->newest, "guard G1", size);
}

static void walk(struct walk *walk) {
    struct protection_totals found = {0};
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    for (unsigned i = 0; i < GUARDED_SIZES; i++)
        walk_size_locked(walk, &guarded_pool.sizes[i], &found);
    report_walk(walk,
                found.blocks == live.blocks && found.bytes == live.bytes && found.taken == live.taken &&
                    live.taken <= guarded_pool.pages_most * OS_PAGE,
                "guard G2", &live);
    lock_release(&guarded_lock, LOCK_GUARDED);
}

bool guarded_start(void) {
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    bool done = guarded_pool.bytes != 0 || guarded_pool_start();
    lock_release(&guarded_lock, LOCK_GUARDED);
    return done;
}

const struct lock_set guarded_locks = {.rank = LOCK_GUARDED, .lock = &guarded_lock, .child = sampler_forked};

static void each_range(protection_see_range *see, void *data) {
    if (guarded_pool.bytes > 0)
        see((const void *)guarded_pool.start, guarded_pool.bytes, true, data);
}

const struct protection guarded_protection = {
    .mode = MODE_GUARDED,
    .alloc = alloc_if_due,
    .trim = trim,
    .owns = guarded_owns,
    .lock = lock,
    .unlock = unlock,
    .find = find,
    .look = look,
    .retire = retire,
    .shrink = shrink,
    .more = guarded_events_say,
    .look_on = look_on,
    .count = count,
    .each_range = each_range,
    .walk = walk,
    .is_no_root = is_no_root,
    .near = near,
};
