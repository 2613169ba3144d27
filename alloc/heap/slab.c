/* SPDX-License-Identifier: MIT */
#include "heap/slab.h"

#include <string.h>

#include "base/sizeclass.h"
#include "kit/report.h"
#include "heap/home.h"
#include "heap/mark.h"

static struct lock slabs_lock;
static struct span *with_room[FAST_CLASSES] BIG_TABLE; /* doubly linked, by next and prev */
static struct slab_totals totals;

static void list_insert(struct span *slab) {
    struct span **first = &with_room[slab->class];
    slab->prev = NULL;
    slab->next = *first;
    if (slab->next != NULL)
        slab->next->prev = slab;
    *first = slab;
}

static void list_remove(struct span *slab) {
    *(slab->prev != NULL ? &slab->prev->next : &with_room[slab->class]) = slab->next;
    if (slab->next != NULL)
        slab->next->prev = slab->prev;
}

/* A LARGE span uses none of the fields that a SMALL one has. */
static struct span *add_locked(unsigned class) {
    bool zeroed;
    struct span *slab = span_acquire_large(1, OS_PAGE, &zeroed);
    if (slab == NULL)
        return NULL;
    slab->live = slab->carved = 0;
    slab->capacity = (uint16_t)(UNIT / class_bytes(class));
    memset(span_home(slab), 0, (slab->capacity + 63u) / 64 * sizeof(uint64_t));
    __atomic_store_n(&slab->class, (uint8_t)class, __ATOMIC_RELEASE);
    list_insert(slab);
    totals.slabs++;
    return slab;
}

static void *take_locked(struct span *slab) {
    size_t count;
    void *block = home_take(slab, class_bytes(slab->class), 1, 1, &count);
    if (slab->live == slab->capacity)
        list_remove(slab);
    totals.blocks++;
    totals.bytes += class_bytes(slab->class);
    return block;
}

void *slab_alloc(unsigned class) {
    lock_acquire(&slabs_lock, LOCK_SLABS);
    struct span *slab = with_room[class] != NULL ? with_room[class] : add_locked(class);
    void *block = slab != NULL ? take_locked(slab) : NULL;
    lock_release(&slabs_lock, LOCK_SLABS);
    if (block != NULL)
        mark_clear(block);
    return block;
}

/* The slot that starts at `p`; SIZE_MAX if none does that was ever used. */
static size_t slot_of(const struct span *slab, const void *p) {
    size_t size = class_bytes(slab->class), offset = (size_t)((const char *)p - span_address(slab));
    return offset % size == 0 && offset / size < slab->carved ? offset / size : SIZE_MAX;
}

static bool is_home(struct span *slab, size_t slot) {
    return (span_home(slab)[slot / 64] >> slot % 64 & 1) != 0;
}

/* Returns true if nothing of the slab is in use any more: then it is none. */
static bool put_locked(struct span *slab, size_t slot) {
    span_home(slab)[slot / 64] |= (uint64_t)1 << slot % 64;
    if (slab->live-- == slab->capacity)
        list_insert(slab);
    totals.blocks--;
    totals.bytes -= class_bytes(slab->class);
    if (slab->live > 0)
        return false;
    list_remove(slab);
    totals.slabs--;
    __atomic_store_n(&slab->class, 0, __ATOMIC_RELEASE);
    return true;
}

bool slab_free(struct span *slab, void *p) {
    lock_acquire(&slabs_lock, LOCK_SLABS);
    size_t slot = slab_is(slab) ? slot_of(slab, p) : SIZE_MAX;
    bool live = slot != SIZE_MAX && !is_home(slab, slot), empty = live && put_locked(slab, slot);
    lock_release(&slabs_lock, LOCK_SLABS);
    if (empty)
        span_release_large(slab);
    return live;
}

unsigned slab_class_of(const void *p) {
    struct span *slab = span_find(p);
    if (slab == NULL || !slab_is(slab))
        return 0;
    size_t slot = slot_of(slab, p);
    return slot != SIZE_MAX && !is_home(slab, slot) ? slab->class : 0;
}

bool slab_was_block(const void *p) {
    struct span *slab = span_find(p);
    if (slab == NULL || !slab_is(slab))
        return false;
    size_t slot = slot_of(slab, p);
    return slot != SIZE_MAX && is_home(slab, slot);
}

void slab_count(struct slab_totals *out) {
    lock_acquire(&slabs_lock, LOCK_SLABS);
    *out = totals;
    lock_release(&slabs_lock, LOCK_SLABS);
}

void slab_walk(struct walk *walk) {
    for (unsigned class = 1; class < FAST_CLASSES; class++)
        for (struct span *slab = with_room[class]; slab != NULL; slab = slab->next) {
            size_t used = slab->carved - home_count(slab);
            bool right = slab_is(slab) && slab->class == class && used == slab->live && used > 0 && used < slab->capacity;
            if (!report_walk(walk, right && (slab->next == NULL || slab->next->prev == slab), "slab Z1", slab))
                return;
        }
}

const struct lock_set slab_locks = {.rank = LOCK_SLABS, .lock = &slabs_lock};
