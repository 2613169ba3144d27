/* SPDX-License-Identifier: MIT */
#include "heap/span_free.h"

#include <stdatomic.h>

#include "heap/span_tree.h"

struct page_heap page_heap;
struct span_tree span_trees[2] BIG_TABLE;
struct span_totals span_totals;

/* ---- dirty bits -------------------------------------------------------------------------------------------------- */

/* The bits of a word that stand for units from `at` on; *run is how many these are, at most up to `end`. */
static uint64_t bits_of(size_t at, size_t end, size_t *run) {
    size_t bit = at % 64;
    *run = min_size(64 - bit, end - at);
    return bit_range(bit, *run);
}

void span_dirty_set(struct region *region, size_t first, size_t units, bool dirty) {
    for (size_t at = first, end = first + units, run; at < end; at += run) {
        uint64_t mask = bits_of(at, end, &run);
        struct dirty_word *word = &region->dirty[at / 64];
        word->old &= ~mask;
        word->fresh = (word->fresh & ~mask) | (dirty ? mask : 0);
    }
}

void span_dirty_age(struct region *region, size_t first, size_t units) {
    for (size_t at = first, end = first + units, run; at < end; at += run) {
        uint64_t mask = bits_of(at, end, &run);
        struct dirty_word *word = &region->dirty[at / 64];
        word->old |= word->fresh & mask;
        word->fresh &= ~mask;
    }
}

/* The next word is looked at only if units are there: behind the last one of a region the memory may not be readable. */
uint64_t span_dirty_bits(const struct region *region, size_t first, size_t units) {
    const struct dirty_word *word = &region->dirty[first / 64];
    uint64_t bits = (word[0].fresh | word[0].old) >> first % 64;
    return first % 64 + units <= 64 ? bits : bits | (word[1].fresh | word[1].old) << (64 - first % 64);
}

size_t span_dirty_count(const struct region *region, size_t first, size_t units) {
    size_t count = 0;
    for (size_t at = first, end = first + units, run; at < end; at += run) {
        uint64_t mask = bits_of(at, end, &run);
        const struct dirty_word *word = &region->dirty[at / 64];
        uint64_t dirty = (word->fresh | word->old) & mask;
        if (dirty != 0)
            count += dirty == mask ? run : (size_t)__builtin_popcountll(dirty); /* without -mpopcnt a call */
    }
    return count;
}

/* ---- free spans -------------------------------------------------------------------------------------------------- */

static void count_free(const struct span *span, bool more) {
    span_totals.free += more ? span->units : -(size_t)span->units;
    span_totals.free_count += more ? 1 : -(size_t)1;
    if (span->kept)
        page_heap.kept_units += more ? span->units : -(size_t)span->units;
    size_t dirty = span_totals.free_dirty + (more ? span->dirty : -(size_t)span->dirty);
    atomic_store_explicit(&span_totals.free_dirty, dirty, memory_order_relaxed);
}

static void insert(struct region *region, size_t first, size_t units, size_t dirty, bool kept) {
    struct span *span = &region->spans[first], *tail = span + units - 1;
    tail->state = SPAN_TAIL;
    tail->head = (uint32_t)first;
    span->state = SPAN_FREE;
    span->units = (uint32_t)units;
    span->region = (uint8_t)(region - regions);
    span->dirty = (uint32_t)dirty;
    span->kept = kept;
    count_free(span, true);
    span_tree_insert(&span_trees[kept], span);
}

void span_free_insert(struct region *region, size_t first, size_t units) {
    insert(region, first, units, span_dirty_count(region, first, units), false);
}

void span_free_insert_counted(struct region *region, size_t first, size_t units, size_t dirty) {
    insert(region, first, units, dirty, false);
}

void span_free_keep(struct region *region, size_t first, size_t units) {
    span_dirty_set(region, first, units, true);
    insert(region, first, units, units, true);
}

void span_free_remove(struct span *span) {
    span_tree_remove(&span_trees[span->kept], span);
    count_free(span, false);
    span[span->units - 1].state = SPAN_NONE;
    span->state = SPAN_NONE;
}

void span_hold_locked(struct span *span, bool is_block) {
    span->holder = lock_self();
    span->listed = is_block;
    span->next_held = page_heap.held;
    page_heap.held = span;
    span->state = SPAN_HELD;
}

void span_unhold_locked(struct span *span) {
    struct span **link = &page_heap.held;
    while (*link != span)
        link = &(*link)->next_held;
    *link = span->next_held;
    span->state = SPAN_NONE;
}

struct span *span_free_before(struct region *region, size_t first) {
    if (first == 0)
        return NULL;
    struct span *last = &region->spans[first - 1];
    enum span_state state = span_state_of(last);
    if (state == SPAN_FREE)
        return last;
    return state == SPAN_TAIL ? &region->spans[last->head] : NULL;
}

struct span *span_free_coalesce(struct region *region, size_t first, size_t units) {
    struct span *before = span_free_before(region, first), *after = &region->spans[first + units];
    size_t dirty = span_dirty_count(region, first, units);
    if (before != NULL) {
        first -= before->units;
        units += before->units;
        dirty += before->dirty;
        span_free_remove(before);
    }
    if (first + units < region->frontier && span_state_of(after) == SPAN_FREE) {
        units += after->units;
        dirty += after->dirty;
        span_free_remove(after);
    }
    span_free_insert_counted(region, first, units, dirty);
    return &region->spans[first];
}

struct span *span_free_held(struct span *span) {
    span_unhold_locked(span);
    return span_free_coalesce(span_region(span), span_index(span), span->units);
}
