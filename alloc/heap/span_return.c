/* SPDX-License-Identifier: MIT */
#include "heap/span.h"

#include <stdatomic.h>

#include "os/os.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/span_free.h"
#include "heap/unitmap.h"

#define LOOK_MS 100                 /* at least between two looks for free spans that are old enough to go */
#define DIRTY_STAYS_MIN (1 * MIB)   /* dirty free memory that stays whatever its age: this much, or */
#define DIRTY_STAYS_PART 16         /* this part of the heap (6 %), to serve the next spans without faults */
#define PURGE_MIN_UNITS (64 * KIB / UNIT) /* what is smaller is not worth a system call */
/* A span from here on is purged when it is freed, as if it had been a mapping: the largest size that the mmap threshold rises
 * to. On `growing`, blocks that grow by realloc, the peak of memory was 1.95 times that of the best allocator without this, and
 * is the same with it. */
#define PURGE_AT_ONCE (32 * MIB)

static _Atomic bool is_locked;     /* memory of the heap was, when it was purged: the program has locked it */
static _Atomic uint64_t looked_at; /* when old free spans were last looked for, ms */

/* Memory that the program has locked goes as well, but where nothing is to be trimmed: real-time programs, which must not fault
 * later, lock all of it and set M_TRIM_THRESHOLD to -1. */
bool span_purge_pages(void *addr, size_t bytes) {
    if (os_purge(addr, bytes))
        return true;
    bool purged = tunables.trim_threshold != SIZE_MAX && os_purge_locked(addr, bytes);
    if (purged)
        atomic_store_explicit(&is_locked, true, memory_order_relaxed);
    return purged;
}

/* Where all memory is locked as it comes, what lies beyond a frontier has memory, too, though it was never handed out. */
static void purge_beyond_locked(void) {
    for (struct region *region = regions; region < regions + region_count; region++) {
        char *from = (char *)region->base + (region->frontier << UNIT_SHIFT);
        size_t bytes = (region->mapped - region->frontier) << UNIT_SHIFT;
        if (bytes > 0)
            os_purge_locked(from, bytes);
    }
}

/* A span that is taken out of use becomes FREE. */
static void free_locked(struct span *span) {
    span->state = SPAN_NONE;
    page_heap.released_at = os_clock_ms();
    span_free_coalesce(span_region(span), span_index(span), span->units);
}

/* Gives back the whole OS pages of an array that has `each` bytes for each unit in [first, end), if there are any. */
static void discard_units(const void *array, size_t each, size_t first, size_t end) {
    uintptr_t from = align_up((uintptr_t)array + first * each, OS_PAGE);
    uintptr_t to = align_down((uintptr_t)array + end * each, OS_PAGE);
    if (from < to)
        os_discard((void *)from, to - from);
}

/* What the allocator itself keeps for the units of a long HELD span is of no use, but for the structure of the head: those of
 * the others say NONE, which is 0, and bits of blocks at home are set anew where a span begins. */
static void discard_own(const struct span *span) {
    const struct region *region = span_region(span);
    size_t first = span_index(span), end = first + span->units;
    discard_units(region->spans, sizeof *span, first + 1, end);
    discard_units(region->home, HOME_WORDS * sizeof(uint64_t), first, end);
}

/* Gives the memory of a HELD span to the OS. Gives up the lock meanwhile. True if the OS has it. */
static bool purge_held_locked(struct span *span) {
    size_t units = span->units;
    lock_release(&page_heap.lock, LOCK_SPANS);
    bool purged = span_purge_pages(span_address(span), units << UNIT_SHIFT);
    if (purged)
        discard_own(span);
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    if (purged)
        span_dirty_set(span_region(span), span_index(span), units, false);
    return purged;
}

/* True if all pages of a SMALL span's nth unit were given back, or if none of them was ever touched (S4). */
static bool has_no_memory(const struct span *span, size_t nth) {
    size_t carved = span->carved * class_bytes(span->class);
    return span[nth].returned_pages == (1u << PAGES_A_UNIT) - 1 || (span->fresh && nth << UNIT_SHIFT >= carved);
}

static void take_small_locked(struct span *span) {
    ASSERT(span->live == 0 && !span->listed);
    unitmap_set((uintptr_t)span_address(span), span->units, 0);
    for (size_t i = 0; i < span->units; i++) {
        if (has_no_memory(span, i))
            span_dirty_set(span_region(span), span_index(span) + i, 1, false);
        if (i > 0)
            span[i].state = SPAN_NONE;
    }
    span_totals.small -= span->units;
}

static void take_large_locked(struct span *span) {
    span_totals.large -= span->units;
    span_totals.large_count--;
}

static bool release(struct span *span, bool small) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    bool used = span->state == (small ? SPAN_SMALL : SPAN_LARGE);
    if (used && small)
        take_small_locked(span);
    else if (used)
        take_large_locked(span);
    if (used && span->units >= PURGE_AT_ONCE / UNIT) {
        span_hold_locked(span, false);
        purge_held_locked(span);
        span_unhold_locked(span);
    }
    if (used)
        free_locked(span);
    lock_release(&page_heap.lock, LOCK_SPANS);
    if (used)
        span_look();
    return used;
}

void span_release(struct span *span) {
    release(span, span->state == SPAN_SMALL);
}

bool span_release_large(struct span *span) {
    return release(span, false);
}

bool span_try_hold(struct span *span, size_t *units) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    bool mine = span->state == SPAN_LARGE;
    *units = span->units;
    if (mine) {
        take_large_locked(span);
        span_hold_locked(span, true);
    }
    lock_release(&page_heap.lock, LOCK_SPANS);
    return mine;
}

static void unhold_block_locked(struct span *span) {
    span_unhold_locked(span);
    span->state = SPAN_LARGE;
    span_totals.large += span->units;
    span_totals.large_count++;
}

void span_unhold(struct span *span, bool gone) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    unhold_block_locked(span);
    lock_release(&page_heap.lock, LOCK_SPANS);
    if (gone)
        span_release_large(span);
}

/* ---- giving memory to the OS ------------------------------------------------------------------------------------- */

/* Takes the oldest span that is worth purging out of the free ones, if there is more dirty free memory than may stay. It is
 * HELD meanwhile. */
static struct span *purge_take_locked(size_t age_ms, uint64_t now) {
    size_t stays = 0, least = 1;
    if (age_ms > 0) {
        size_t heap = span_totals.free + span_totals.small + span_totals.large;
        stays = max_size(DIRTY_STAYS_MIN >> UNIT_SHIFT, heap / DIRTY_STAYS_PART);
        /* Less than a huge page would break one up. */
        least = heap << UNIT_SHIFT > HUGE_FROM && page_heap.huge_slow < HUGE_SLOW_MOST ? HUGE_PAGE / UNIT : PURGE_MIN_UNITS;
    }
    for (struct span *span = page_heap.oldest; span != NULL; span = span->newer) {
        if (span_totals.free_dirty <= stays || (age_ms > 0 && now - span->freed_at < age_ms))
            return NULL;
        if (span->dirty < least)
            continue;
        span_free_remove(span);
        span_hold_locked(span, false);
        return span;
    }
    return NULL;
}

/* A span that was taken for purging is FREE again. */
static void purge_done_locked(struct span *span) {
    span_unhold_locked(span);
    span_free_coalesce(span_region(span), span_index(span), span->units);
}

/* Moves the break down over what is free at the top of the brk heap, but for `pad` bytes. Returns the bytes given back. */
static size_t shrink_top(size_t pad) {
    struct region *heap = &regions[0];
    struct span *last = heap->spans ? span_free_before(heap, heap->frontier) : NULL;
    size_t first = last ? span_index(last) : heap->frontier;
    if (heap->spans == NULL || (heap->mapped - first) << UNIT_SHIFT <= pad)
        return 0;
    size_t keep = min_size(units_for(pad), heap->mapped - first);
    size_t end = max_size(first, min_size(heap->frontier, first + keep));
    size_t old_frontier = heap->frontier;
    if (last != NULL)
        span_free_remove(last);
    heap->frontier = end;
    size_t given = region_shrink(heap, first, pad);
    if (given == 0) {
        heap->frontier = old_frontier;
        end = old_frontier;
    } else if (old_frontier > end) {
        span_dirty_set(heap, end, old_frontier - end, false);
    }
    if (end > first)
        span_free_insert(heap, first, end - first);
    return given;
}

/* True if what is free at the top, all of it purged, is more than trim_threshold: then address space is given back, too. */
static bool top_is_worth_it(void) {
    struct region *heap = &regions[0];
    struct span *last = heap->spans ? span_free_before(heap, heap->frontier) : NULL;
    return last != NULL && last->dirty == 0 && (size_t)last->units << UNIT_SHIFT > tunables.trim_threshold;
}

size_t span_purge(size_t age_ms, size_t pad) {
    size_t given = 0;
    uint64_t now = os_clock_ms();
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    struct span *span;
    while ((span = purge_take_locked(age_ms, now)) != NULL) {
        size_t dirty = span->dirty;
        bool purged = purge_held_locked(span);
        given += purged ? dirty << UNIT_SHIFT : 0;
        purge_done_locked(span);
        if (!purged)
            break;
    }
    if (age_ms == 0 || top_is_worth_it())
        given += shrink_top(pad);
    if (UNLIKELY(atomic_load_explicit(&is_locked, memory_order_relaxed)) && given > 0)
        purge_beyond_locked();
    lock_release(&page_heap.lock, LOCK_SPANS);
    return given;
}

void span_look(void) {
    if (atomic_load_explicit(&page_heap.dirty_hint, memory_order_relaxed) << UNIT_SHIFT <= DIRTY_STAYS_MIN)
        return;
    uint64_t now = os_clock_ms();
    if (now - atomic_load_explicit(&looked_at, memory_order_relaxed) < min_size(LOOK_MS, tunables.decay_ms))
        return;
    atomic_store_explicit(&looked_at, now, memory_order_relaxed);
    span_purge(max_size(tunables.decay_ms, 1), tunables.top_pad); /* an age of 0 would mean all that is free */
}

void span_count(struct span_totals *totals, struct region_totals *held, size_t *unused, size_t *top) {
    size_t beyond = 0;
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    *totals = span_totals;
    region_count_bytes(held);
    for (unsigned i = 0; i < region_count; i++)
        beyond += regions[i].mapped - regions[i].frontier;
    struct region *heap = &regions[0];
    const struct span *last = heap->spans ? span_free_before(heap, heap->frontier) : NULL;
    *unused = beyond << UNIT_SHIFT;
    *top = (heap->mapped - heap->frontier + (last ? last->units : 0)) << UNIT_SHIFT;
    lock_release(&page_heap.lock, LOCK_SPANS);
}

/* Spans that are held by threads that did not live on in this child. */
static void forked(void) {
    for (struct span *span = page_heap.held, *next; span != NULL; span = next) {
        next = span->next_held;
        if (span->holder == lock_self())
            continue;
        if (span->listed)
            unhold_block_locked(span);
        else
            purge_done_locked(span);
    }
}

const struct lock_set span_locks = {.rank = LOCK_SPANS, .lock = &page_heap.lock, .forked = forked};
