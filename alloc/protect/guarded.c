/* SPDX-License-Identifier: MIT */
#include "protect/guarded.h"

#include <stdatomic.h>
#include <string.h>

#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "callers/stacks.h"
#include "protect/guarded_events.h"
#include "protect/sampler.h"

#define SIZES 4           /* of slots: 1, 2, 4 and 8 pages */
#define LEAST_PAGES 8     /* in use: with room for fewer there are no guarded pages */
#define READY_PAGES 128   /* opened, and guarded, at a time */
#define ADDRESS_PART 16   /* of the address space that RLIMIT_AS allows, at most */

enum state { UNUSED, LIVE, FREED };

struct slot {
    struct fault_block block; /* that is there, or was last */
    uint32_t next;            /* FREED: number of the one freed after it, in its size, from 1; 0 for none */
    uint8_t pages;            /* of the block */
    uint8_t state;
    uint8_t canary;
    bool shut;  /* decommitted, not guarded by os_guard_install */
    bool bare;  /* FREED, but can be touched: the OS refused both */
    bool dirty; /* the OS has not got the memory back, so it is not zero */
};

struct size {
    size_t first;  /* bytes to the first slot, behind an untouchable page: no address, which the leak report would find */
    size_t stride; /* bytes from slot to slot */
    struct slot *slots;
    uint32_t count, used, ready; /* slots; given out at least once; whose pages are prepared */
    uint32_t oldest, newest;     /* FREED, as numbers from 1 */
};

static struct {
    uintptr_t start;
    size_t bytes;
    size_t pages_most;    /* that may be in use */
    size_t unused;        /* slots */
    bool marks;           /* os_guard_install works, or did: pages may carry its marks */
    bool mapped;          /* os_guard_install does not work (any more) */
    struct size sizes[SIZES];
} pool;
static struct guarded_totals live;
static struct lock guarded_lock;

/* ---- slots ------------------------------------------------------------------------------------------------------- */

/* Slots of a size for so many pages in use: 2 of one page for each, fewer of the larger ones. */
static uint32_t slots_of(unsigned size, size_t pages) {
    return (uint32_t)(size == 0 ? pages * 2 : max_size(pages >> size, 1));
}

static size_t stride_of(unsigned size) {
    return (((size_t)1 << size) + 1) * OS_PAGE;
}

static size_t slots_in_all(size_t pages) {
    size_t slots = 0;
    for (unsigned i = 0; i < SIZES; i++)
        slots += slots_of(i, pages);
    return slots;
}

static size_t records_bytes(size_t pages) {
    return align_up(slots_in_all(pages) * sizeof(struct slot), OS_PAGE);
}

static size_t pages_for(size_t bytes) {
    return align_up(bytes, OS_PAGE) / OS_PAGE;
}

static char *pages_at(const struct size *size, size_t index) {
    return (char *)pool.start + size->first + index * size->stride;
}

static char *pages_of(const struct size *size, const struct slot *slot) {
    return pages_at(size, (size_t)(slot - size->slots));
}

static struct size *size_for(size_t pages) {
    unsigned index = 0;
    while ((size_t)1 << index < pages)
        index++;
    return &pool.sizes[index];
}

/* The slot whose pages, or the untouchable one behind them, hold the address. */
static struct slot *slot_at(const void *p, struct size **of) {
    for (unsigned i = 0; i < SIZES; i++) {
        struct size *size = &pool.sizes[i];
        size_t offset = (uintptr_t)p - pool.start - size->first;
        if (offset < size->count * size->stride) {
            *of = size;
            return &size->slots[offset / size->stride];
        }
    }
    return NULL;
}

/* Prepares the pages of some more slots: open, but guarded. Without os_guard_install they stay as they are, shut. */
static bool make_ready_locked(struct size *size) {
    uint32_t more = (uint32_t)min_size(max_size(READY_PAGES * OS_PAGE / size->stride, 1), size->count - size->ready);
    char *first = pages_at(size, size->ready);
    if (!pool.mapped) {
        if (!os_commit(first, more * size->stride))
            return false;
        pool.mapped = !os_guard_install(first, more * size->stride);
        pool.marks |= !pool.mapped;
        if (pool.mapped && !os_decommit(first, more * size->stride))
            return false;
    }
    size->ready += more;
    return true;
}

/* The slot whose turn it is, left where it is; NULL if there is none. */
static struct slot *next_locked(struct size *size) {
    size_t ever = 0;
    for (unsigned i = 0; i < SIZES; i++)
        ever += pool.sizes[i].used;
    bool fresh = size->used < size->count && !(pool.mapped && ever >= GUARDED_MAPPED_MOST);
    if (fresh && (size->used < size->ready || make_ready_locked(size)))
        return &size->slots[size->used];
    return size->oldest != 0 ? &size->slots[size->oldest - 1] : NULL;
}

static void take_locked(struct size *size, struct slot *slot) {
    if (slot->state == UNUSED) {
        size->used++;
        pool.unused--;
        sampler_takes_all = sampler_takes_all && pool.unused > 0;
        return;
    }
    size->oldest = slot->next;
    if (slot->next == 0)
        size->newest = 0;
}

static void append_locked(struct size *size, struct slot *slot) {
    uint32_t number = (uint32_t)(slot - size->slots) + 1;
    slot->next = 0;
    *(size->newest != 0 ? &size->slots[size->newest - 1].next : &size->oldest) = number;
    size->newest = number;
}

/* Zeroed pages that can be touched. False if the OS refuses. */
static bool open_pages(struct slot *slot, char *pages, size_t bytes) {
    if (bytes == 0)
        return true;
    if ((pool.mapped || slot->shut) && !os_commit(pages, bytes))
        return false;
    if (pool.marks && !os_guard_remove(pages, bytes))
        return false;
    if (slot->dirty)
        memset(pages, 0, bytes);
    slot->shut = slot->dirty = false;
    return true;
}

/* Pages that cannot be touched, and whose memory the OS has, as far as it does its part. */
static void shut_pages(struct slot *slot, char *pages, size_t bytes) {
    slot->bare = false;
    if (bytes == 0 || (!pool.mapped && os_guard_install(pages, bytes)))
        return;
    slot->shut = os_decommit(pages, bytes);
    slot->bare = !slot->shut;
    slot->dirty = slot->bare && !os_purge(pages, bytes);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* At the end of its pages, as near as the alignment allows, or at their start. One without bytes has no page. */
static char *place(char *pages, size_t room, size_t bytes, size_t align) {
    return sampler_draw() >> 63 ? pages : pages + align_down(room - bytes, align);
}

static void canaries_write(const struct slot *slot, char *pages) {
    char *block = pages + (slot->block.start - pages), *end = block + slot->block.bytes;
    memset(pages, slot->canary, (size_t)(block - pages));
    memset(end, slot->canary, (size_t)(pages + slot->pages * OS_PAGE - end));
}

/* Finds the changed byte next to the block. */
static enum fault_kind canaries_look(const struct slot *slot, const char *pages, ptrdiff_t *offset) {
    const unsigned char *first = (const unsigned char *)pages, *end = first + slot->pages * OS_PAGE;
    const unsigned char *block = (const unsigned char *)slot->block.start;
    for (const unsigned char *at = block; at-- > first;)
        if (*at != slot->canary) {
            *offset = at - block;
            return FAULT_HEAD;
        }
    for (const unsigned char *at = block + slot->block.bytes; at < end; at++)
        if (*at != slot->canary) {
            *offset = at - block;
            return FAULT_TAIL;
        }
    return FAULT_NONE;
}

static void note_locked(const struct slot *slot, const char *call, uint32_t stack) {
    guarded_events_add(&(struct guarded_event){slot->block.start, slot->block.bytes, call, stack, os_thread_id()});
}

static void count_locked(const struct slot *slot, bool enters) {
    size_t pages = slot->pages * OS_PAGE;
    live.blocks += enters ? 1 : (size_t)-1;
    live.bytes += enters ? slot->block.bytes : -slot->block.bytes;
    live.pages += enters ? pages : -pages;
    live.samples += enters;
}

static void *alloc_locked(size_t bytes, size_t align, const char *call, uint32_t here) {
    size_t pages = pages_for(bytes), room = pages * OS_PAGE;
    struct size *size = size_for(pages);
    struct slot *slot = live.pages / OS_PAGE + pages <= pool.pages_most ? next_locked(size) : NULL;
    if (slot == NULL || !budget_charge(room))
        return NULL;
    char *first = pages_of(size, slot);
    if (slot->bare)
        shut_pages(slot, first, slot->pages * OS_PAGE);
    if (!open_pages(slot, first, room)) {
        budget_refund(room);
        return NULL;
    }
    take_locked(size, slot);
    slot->block = (struct fault_block){.start = place(first, room, bytes, align), .bytes = bytes, .align = align};
    slot->block.alloc_call = call;
    slot->block.alloc_stack = here;
    slot->pages = (uint8_t)pages;
    slot->state = LIVE;
    slot->canary = (uint8_t)(sampler_draw() >> 56) | 0x80; /* neither a NUL nor a character */
    canaries_write(slot, first);
    count_locked(slot, true);
    note_locked(slot, call, here);
    return first + (slot->block.start - first);
}

void *guarded_alloc(size_t bytes, size_t align, const char *call) {
    align = max_size(align, BLOCK_ALIGN);
    if (bytes > GUARDED_BYTES_MOST || align > OS_PAGE)
        return NULL;
    const struct size *size = size_for(pages_for(bytes));
    if (!sampler_self.due && size->used == size->count)
        return NULL;
    void *p = NULL;
    if (live.pages / OS_PAGE < pool.pages_most) { /* no call stack for nothing */
        uint32_t here = stacks_capture();
        lock_acquire(&guarded_lock, LOCK_GUARDED);
        p = alloc_locked(bytes, align, call, here);
        lock_release(&guarded_lock, LOCK_GUARDED);
    }
    if (sampler_self.due)
        sampler_done();
    return p;
}

bool guarded_owns(const void *p) {
    return (uintptr_t)p - pool.start < pool.bytes;
}

bool guarded_is_record(const void *p) {
    return (uintptr_t)p - (uintptr_t)pool.sizes[0].slots < (pool.bytes != 0 ? records_bytes(pool.pages_most) : 0);
}

/* What is wrong with a call for the block at p. The block is live if anything but that, its memory or a size is wrong. */
static void look_locked(struct fault *fault, const void *p, const char *call, size_t bytes, size_t align, bool memory) {
    struct size *size;
    struct slot *slot = slot_at(p, &size);
    if (slot == NULL || slot->state == UNUSED) {
        fault->kind = FAULT_INVALID;
        return;
    }
    fault->block_known = true;
    fault->block = slot->block;
    fault->offset = (const char *)p - slot->block.start;
    if (fault->offset != 0)
        fault->kind = FAULT_INVALID;
    else if (slot->state == FREED)
        fault->kind = fault_of_freed(call);
    else if (memory)
        fault->kind = canaries_look(slot, pages_of(size, slot), &fault->offset);
    if (fault->kind == FAULT_NONE)
        fault_judge(fault, &slot->block, call, bytes, align);
}

static bool is_refused(const struct fault *fault) {
    return fault->kind == FAULT_INVALID || fault->kind == FAULT_FREED_TWICE || fault->kind == FAULT_USED_FREED;
}

/* False if another thread came first. */
static bool free_locked(struct fault *fault, void *p, const char *call, uint32_t here) {
    struct size *size;
    struct slot *slot = slot_at(p, &size);
    if (slot->state != LIVE || slot->block.start != p) {
        *fault = (struct fault){.more = guarded_events_say};
        look_locked(fault, p, call, SIZE_MAX, 0, false);
        return fault->kind == FAULT_NONE;
    }
    slot->block.free_call = call;
    slot->block.free_stack = here;
    slot->block.freed = true;
    slot->state = FREED;
    shut_pages(slot, pages_of(size, slot), slot->pages * OS_PAGE);
    append_locked(size, slot);
    count_locked(slot, false);
    note_locked(slot, call, here);
    budget_refund(slot->pages * OS_PAGE);
    return true;
}

/* A fault is told before the block's pages are gone, for the sake of a core file. */
void guarded_free(void *p, const char *call, size_t bytes, size_t align) {
    struct fault fault = {.more = guarded_events_say};
    uint32_t here = stacks_capture();
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    look_locked(&fault, p, call, bytes, align, true);
    bool done = fault.kind == FAULT_NONE && free_locked(&fault, p, call, here);
    lock_release(&guarded_lock, LOCK_GUARDED);
    if (done)
        return;
    fault_tell(call, p, &fault);
    if (is_refused(&fault))
        return;
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    done = free_locked(&fault, p, call, here);
    lock_release(&guarded_lock, LOCK_GUARDED);
    if (!done)
        fault_tell(call, p, &fault);
}

bool guarded_size(const void *p, const char *call, size_t *bytes) {
    struct fault fault = {.more = guarded_events_say};
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    look_locked(&fault, p, call, SIZE_MAX, 0, false);
    lock_release(&guarded_lock, LOCK_GUARDED);
    if (is_refused(&fault))
        fault_tell(call, p, &fault);
    *bytes = fault.block.bytes;
    return !is_refused(&fault);
}

void guarded_shrink(void *p, size_t bytes) {
    struct size *size;
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    struct slot *slot = slot_at(p, &size);
    if (slot != NULL && slot->state == LIVE && slot->block.start == p && bytes < slot->block.bytes) {
        live.bytes -= slot->block.bytes - bytes;
        slot->block.bytes = bytes;
        memset((char *)p + bytes, slot->canary, (size_t)(pages_of(size, slot) + slot->pages * OS_PAGE - (char *)p) - bytes);
    }
    lock_release(&guarded_lock, LOCK_GUARDED);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

/* Bytes between an address and a block; a live one is thought to be meant before one that is freed. */
static size_t distance(const struct slot *slot, uintptr_t p) {
    uintptr_t start = (uintptr_t)slot->block.start, end = start + slot->block.bytes;
    size_t far = p < start ? start - p : p >= end ? p - end : 0;
    return far + (slot->state == FREED && far > 0 ? GUARDED_BYTES_MOST : 0);
}

/* Behind the pages of one slot lies the page before the next. */
bool guarded_near(const void *p, struct fault_block *block) {
    struct size *size;
    const struct slot *best = NULL, *slot = slot_at((const char *)p + OS_PAGE, &size);
    for (unsigned i = 0; i < 2; i++, slot = slot_at(p, &size))
        if (slot != NULL && slot->state != UNUSED &&
            (best == NULL || distance(slot, (uintptr_t)p) < distance(best, (uintptr_t)p)))
            best = slot;
    if (best != NULL)
        *block = best->block;
    return best != NULL;
}

void guarded_count(struct guarded_totals *totals) {
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    *totals = live;
    lock_release(&guarded_lock, LOCK_GUARDED);
}

static bool lies_in_its_pages(const struct size *size, const struct slot *slot) {
    const char *first = pages_of(size, slot), *block = slot->block.start;
    return block >= first && block + slot->block.bytes <= first + slot->pages * OS_PAGE &&
           (uintptr_t)block % slot->block.align == 0;
}

static void walk_size_locked(struct walk *walk, const struct size *size, struct guarded_totals *found) {
    size_t freed = 0, listed = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < size->count; i++) {
        const struct slot *slot = &size->slots[i];
        report_walk(walk, (slot->state == UNUSED) == (i >= size->used), "guard G1", slot);
        freed += slot->state == FREED;
        if (slot->state != LIVE)
            continue;
        found->blocks++;
        found->bytes += slot->block.bytes;
        found->pages += slot->pages * OS_PAGE;
        report_walk(walk, lies_in_its_pages(size, slot), "guard G3", slot);
    }
    for (uint32_t at = size->oldest; at != 0 && listed <= freed; last = at, at = size->slots[at - 1].next, listed++)
        if (!report_walk(walk, at <= size->used && size->slots[at - 1].state == FREED, "guard G1", size))
            return;
    report_walk(walk, listed == freed && last == size->newest, "guard G1", size);
}

void guarded_walk(struct walk *walk) {
    struct guarded_totals found = {0};
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    for (unsigned i = 0; i < SIZES; i++)
        walk_size_locked(walk, &pool.sizes[i], &found);
    report_walk(walk,
                found.blocks == live.blocks && found.bytes == live.bytes && found.pages == live.pages &&
                    live.pages <= pool.pages_most * OS_PAGE,
                "guard G2", &live);
    lock_release(&guarded_lock, LOCK_GUARDED);
}

/* ---- start and fork ---------------------------------------------------------------------------------------------- */

static size_t address_bytes(size_t pages) {
    size_t bytes = OS_PAGE; /* before the first slot */
    for (unsigned i = 0; i < SIZES; i++)
        bytes += slots_of(i, pages) * stride_of(i);
    return bytes;
}

static bool set_up_locked(size_t pages) {
    size_t bytes = address_bytes(pages);
    char *start = bytes <= os_address_limit() / ADDRESS_PART ? os_reserve(bytes) : NULL;
    if (start == NULL)
        return false;
    struct slot *slots = budget_map(records_bytes(pages));
    if (slots == NULL) {
        os_unmap(start, bytes);
        return false;
    }
    os_no_hugepage(start, bytes);
    size_t at = OS_PAGE;
    for (unsigned i = 0; i < SIZES; i++) {
        struct size *size = &pool.sizes[i];
        *size = (struct size){.first = at, .stride = stride_of(i), .slots = slots, .count = slots_of(i, pages)};
        at += size->count * size->stride;
        slots += size->count;
    }
    pool.unused = slots_in_all(pages);
    sampler_takes_all = tunables.protect == LEVEL_PARANOID;
    pool.pages_most = pages;
    pool.start = (uintptr_t)start;
    pool.bytes = bytes;
    return true;
}

bool guarded_start(void) {
    size_t pages = tunables.sample_memory / OS_PAGE;
    while (pages > 0 && pages * OS_PAGE + records_bytes(pages) > tunables.sample_memory)
        pages -= pages / 16 + 1;
    lock_acquire(&guarded_lock, LOCK_GUARDED);
    for (; pool.bytes == 0 && pages >= LEAST_PAGES; pages /= 2)
        if (set_up_locked(pages))
            break;
    lock_release(&guarded_lock, LOCK_GUARDED);
    return pool.bytes != 0;
}

const struct lock_set guarded_locks = {.rank = LOCK_GUARDED, .lock = &guarded_lock, .forked = sampler_forked};
