/* SPDX-License-Identifier: MIT */
#include "protect/guarded_pool.h"

#include <string.h>

#include "os/os.h"
#include "kit/budget.h"
#include "kit/tunables.h"
#include "protect/sampler.h"

#define LEAST_PAGES 8     /* in use: with memory for fewer there are no guarded pages */
#define READY_PAGES 128   /* reserved, or committed and marked, at a time */
#define ADDRESS_PART 16   /* of the address space that RLIMIT_AS allows, at most */

struct guarded_pool guarded_pool;

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
    for (unsigned i = 0; i < GUARDED_SIZES; i++)
        slots += slots_of(i, pages);
    return slots;
}

static size_t records_bytes(size_t pages) {
    return align_up(slots_in_all(pages) * sizeof(struct guarded_slot), OS_PAGE);
}

size_t guarded_pages_for(size_t bytes) {
    return align_up(bytes, OS_PAGE) / OS_PAGE;
}

static char *pages_at(const struct guarded_size *size, size_t index) {
    return (char *)guarded_pool.start + size->first + index * size->stride;
}

char *guarded_pages_of(const struct guarded_size *size, const struct guarded_slot *slot) {
    return pages_at(size, (size_t)(slot - size->slots));
}

struct guarded_size *guarded_size_for(size_t pages) {
    unsigned index = 0;
    while ((size_t)1 << index < pages)
        index++;
    return &guarded_pool.sizes[index];
}

struct guarded_slot *guarded_slot_at(const void *p, struct guarded_size **of) {
    for (unsigned i = 0; i < GUARDED_SIZES; i++) {
        struct guarded_size *size = &guarded_pool.sizes[i];
        size_t offset = (uintptr_t)p - guarded_pool.start - size->first;
        if (offset < size->count * size->stride) {
            *of = size;
            return &size->slots[offset / size->stride];
        }
    }
    return NULL;
}

/* Makes reserved pages committed, but untouchable. False if the OS refuses; they are reserved then. */
static bool mark(char *first, size_t bytes) {
    os_no_hugepage(first, bytes);
    if (!os_commit(first, bytes))
        return false;
    if (os_guard_install(first, bytes))
        return true;
    guarded_pool.marks_end = true;
    sampler_takes_all = false;
    os_decommit(first, bytes);
    return false;
}

/* Prepares the pages of some more slots. */
static bool make_ready(struct guarded_size *size) {
    uint32_t more = (uint32_t)min_size(max_size(READY_PAGES * OS_PAGE / size->stride, 1), size->count - size->ready);
    char *first = pages_at(size, size->ready);
    size_t bytes = more * size->stride;
    bool marked = guarded_pool.unmarked_left < more;
    if ((marked && guarded_pool.marks_end) || (guarded_pool.grows && !os_reserve_at(first, bytes)))
        return false;
    if (!marked)
        os_decommit(first, bytes); /* so that the kernel joins them to pages that were shut again, into one mapping */
    if (marked && !mark(first, bytes)) {
        if (guarded_pool.grows)
            os_unmap(first, bytes);
        return false;
    }
    guarded_pool.unmarked_left = marked ? 0 : guarded_pool.unmarked_left - more; /* of SIZE_MAX there are always enough */
    for (uint32_t i = 0; marked && i < more; i++)
        size->slots[size->ready + i].marked = true;
    size->ready += more;
    return true;
}

struct guarded_slot *guarded_slot_next(struct guarded_size *size) {
    if (size->used < size->ready || (size->used < size->count && make_ready(size)))
        return &size->slots[size->used];
    return size->oldest != 0 ? &size->slots[size->oldest - 1] : NULL;
}

void guarded_slot_take(struct guarded_size *size, struct guarded_slot *slot) {
    if (slot->state == GUARDED_UNUSED) {
        size->used++;
        guarded_pool.unused--;
        sampler_takes_all = sampler_takes_all && guarded_pool.unused > 0;
        return;
    }
    size->oldest = slot->next;
    if (slot->next == 0)
        size->newest = 0;
}

void guarded_slot_append(struct guarded_size *size, struct guarded_slot *slot) {
    uint32_t number = (uint32_t)(slot - size->slots) + 1;
    slot->next = 0;
    *(size->newest != 0 ? &size->slots[size->newest - 1].next : &size->oldest) = number;
    size->newest = number;
}

bool guarded_slot_open(struct guarded_slot *slot, char *pages, size_t bytes) {
    if (bytes == 0)
        return true;
    if ((!slot->marked || slot->decommitted) && !os_commit(pages, bytes))
        return false;
    if (slot->marked && !os_guard_remove(pages, bytes))
        return false;
    if (slot->dirty)
        memset(pages, 0, bytes);
    slot->decommitted = slot->dirty = false;
    return true;
}

void guarded_slot_close(struct guarded_slot *slot, char *pages, size_t bytes) {
    slot->exposed = false;
    if (bytes == 0 || (slot->marked && !guarded_pool.marks_end && os_guard_install(pages, bytes)))
        return;
    slot->decommitted = os_decommit(pages, bytes);
    slot->exposed = !slot->decommitted;
    slot->dirty = slot->exposed && !os_purge(pages, bytes);
}

static bool is_committed_in_vain(const struct guarded_slot *slot) {
    return slot->marked && slot->state != GUARDED_LIVE && !slot->decommitted;
}

/* Slots side by side in one call, so that no mapping is between them. */
static size_t trim_size(struct guarded_size *size) {
    size_t bytes = 0;
    for (uint32_t first = 0, end; first < size->ready; first = end + 1) {
        for (end = first; end < size->ready && is_committed_in_vain(&size->slots[end]);)
            end++;
        if (end == first || !os_decommit(pages_at(size, first), (end - first) * size->stride))
            continue;
        bytes += (end - first) * size->stride;
        for (struct guarded_slot *slot = &size->slots[first]; slot < &size->slots[end]; slot++) {
            slot->decommitted = true;
            slot->exposed = slot->dirty = false;
        }
    }
    return bytes;
}

size_t guarded_pool_trim(void) {
    size_t bytes = 0;
    for (unsigned i = 0; i < GUARDED_SIZES; i++)
        bytes += trim_size(&guarded_pool.sizes[i]);
    guarded_pool.marks_end |= bytes > 0;
    return bytes;
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

static size_t address_bytes(size_t pages) {
    size_t bytes = OS_PAGE; /* before the first slot */
    for (unsigned i = 0; i < GUARDED_SIZES; i++)
        bytes += slots_of(i, pages) * stride_of(i);
    return bytes;
}

/* Where the slots go: a place of which so far only the page before the first one is reserved; or if the kernel does not map at
 * an address that is asked for, all of it. */
static char *reserve(size_t bytes, bool *grows) {
    if (bytes > os_address_limit() / ADDRESS_PART)
        return NULL;
    char *place = os_place(bytes);
    *grows = place != NULL && os_reserve_at(place, OS_PAGE);
    return *grows ? place : os_reserve(bytes);
}

static bool set_up(size_t pages) {
    size_t bytes = address_bytes(pages);
    struct guarded_slot *slots = budget_map(records_bytes(pages));
    if (slots == NULL)
        return false;
    bool grows;
    char *start = reserve(bytes, &grows);
    if (start == NULL) {
        budget_unmap(slots, records_bytes(pages));
        return false;
    }
    guarded_pool.grows = grows;
    size_t at = OS_PAGE;
    for (unsigned i = 0; i < GUARDED_SIZES; i++) {
        struct guarded_size *size = &guarded_pool.sizes[i];
        *size = (struct guarded_size){.first = at, .stride = stride_of(i), .slots = slots, .count = slots_of(i, pages)};
        at += size->count * size->stride;
        slots += size->count;
    }
    guarded_pool.unused = slots_in_all(pages);
    guarded_pool.unmarked_left = pages <= GUARDED_MAPPED_MOST ? SIZE_MAX : GUARDED_MAPPED_MOST;
    sampler_takes_all = tunables.protect == LEVEL_PARANOID;
    guarded_pool.pages_most = pages;
    guarded_pool.secret = sampler_draw();
    guarded_pool.records_bytes = records_bytes(pages);
    guarded_pool.start = (uintptr_t)start;
    guarded_pool.bytes = bytes;
    return true;
}

bool guarded_pool_start(void) {
    size_t pages = tunables.sample_memory / OS_PAGE;
    while (pages > 0 && pages * OS_PAGE + records_bytes(pages) > tunables.sample_memory)
        pages -= pages / 16 + 1;
    for (; pages >= LEAST_PAGES; pages /= 2)
        if (set_up(pages))
            return true;
    return false;
}
