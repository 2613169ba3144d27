/* SPDX-License-Identifier: MIT */
#include "heap/span_free.h"

#include <stdatomic.h>

#include "heap/span_tree.h"

struct page_heap page_heap;
struct span_totals span_totals;

/* ---- dirty bits -------------------------------------------------------------------------------------------------- */

void span_dirty_set(struct region *region, size_t first, size_t units, bool dirty) {
    for (size_t at = first, end = first + units; at < end;) {
        size_t word = at / 64, bit = at % 64, run = min_size(64 - bit, end - at);
        uint64_t mask = (run == 64 ? ~(uint64_t)0 : ((uint64_t)1 << run) - 1) << bit;
        if (dirty)
            region->dirty[word] |= mask;
        else
            region->dirty[word] &= ~mask;
        at += run;
    }
}

size_t span_dirty_count(const struct region *region, size_t first, size_t units) {
    size_t count = 0;
    for (size_t at = first, end = first + units; at < end;) {
        size_t word = at / 64, bit = at % 64, run = min_size(64 - bit, end - at);
        uint64_t mask = (run == 64 ? ~(uint64_t)0 : ((uint64_t)1 << run) - 1) << bit;
        count += (size_t)__builtin_popcountll(region->dirty[word] & mask);
        at += run;
    }
    return count;
}

/* ---- free spans -------------------------------------------------------------------------------------------------- */

static void age_insert(struct span *span) {
    span->newer = NULL;
    span->older = page_heap.newest;
    *(page_heap.newest ? &page_heap.newest->newer : &page_heap.oldest) = span;
    page_heap.newest = span;
    span->listed = true;
}

static void age_remove(struct span *span) {
    *(span->newer ? &span->newer->older : &page_heap.newest) = span->older;
    *(span->older ? &span->older->newer : &page_heap.oldest) = span->newer;
    span->listed = false;
}

static void count_free(const struct span *span, bool more) {
    span_totals.free += more ? span->units : -(size_t)span->units;
    span_totals.free_count += more ? 1 : -(size_t)1;
    span_totals.free_dirty += more ? span->dirty : -(size_t)span->dirty;
    if (span->kept)
        page_heap.kept_units += more ? span->units : -(size_t)span->units;
    atomic_store_explicit(&page_heap.dirty_hint, span_totals.free_dirty, memory_order_relaxed);
}

static struct span **tree_of(const struct span *span) {
    return span->kept ? &page_heap.kept : &page_heap.tree;
}

static void insert(struct region *region, size_t first, size_t units, bool kept) {
    struct span *span = &region->spans[first], *tail = span + units - 1;
    tail->state = SPAN_TAIL;
    tail->head = (uint32_t)first;
    span->state = SPAN_FREE;
    span->units = (uint32_t)units;
    span->region = (uint8_t)(region - regions);
    span->dirty = (uint32_t)span_dirty_count(region, first, units);
    span->listed = false;
    span->kept = kept;
    count_free(span, true);
    span_tree_insert(tree_of(span), span);
    if (span->dirty > 0) {
        span->freed_at = page_heap.released_at;
        age_insert(span);
    }
}

void span_free_insert(struct region *region, size_t first, size_t units) {
    insert(region, first, units, false);
}

void span_free_keep(struct region *region, size_t first, size_t units) {
    span_dirty_set(region, first, units, true);
    insert(region, first, units, true);
}

void span_free_remove(struct span *span) {
    span_tree_remove(tree_of(span), span);
    if (span->listed)
        age_remove(span);
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
    if (last->state == SPAN_FREE)
        return last;
    return last->state == SPAN_TAIL ? &region->spans[last->head] : NULL;
}

void span_free_coalesce(struct region *region, size_t first, size_t units) {
    struct span *before = span_free_before(region, first), *after = &region->spans[first + units];
    if (before != NULL) {
        first -= before->units;
        units += before->units;
        span_free_remove(before);
    }
    if (first + units < region->frontier && after->state == SPAN_FREE) {
        units += after->units;
        span_free_remove(after);
    }
    span_free_insert(region, first, units);
}
