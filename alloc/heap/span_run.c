/* SPDX-License-Identifier: MIT */
#include "heap/span_run.h"

#include "kit/tunables.h"
#include "heap/span_amount.h"
#include "heap/span_free.h"
#include "heap/span_tree.h"

/* Units at the frontier that were made present. Before a large block is cut there, they are kept for small spans, even if the
 * heap has to grow for it. 10,000 blocks of 60,000 bytes with one page in use each, beside as many small ones of 8,000, took
 * 235 MB instead of 122, as each of the large ones took pages that were meant for the next small one. */
static size_t warm_units(const struct region *region) {
    size_t warm_end = region->warm < region->base ? 0 : (region->warm - region->base) >> UNIT_SHIFT;
    return warm_end > region->frontier ? warm_end - region->frontier : 0;
}

static void keep_warm(struct region *region, size_t units) {
    size_t first = region->frontier;
    region->frontier += units;
    span_free_keep(region, first, units);
}

/* Cuts `units` at the frontier, with the FREE span that ends there, if any. */
static struct span *frontier_cut(struct region *region, size_t units, bool small) {
    struct span *before;
    size_t old_frontier, warm;
    do { /* again whenever the frontier has leapt over foreign memory: what ended there does so no more, and the rest is FREE */
        size_t left;
        old_frontier = region->frontier;
        before = span_free_before(region, old_frontier);
        warm = small || before != NULL || tunables.populate ? 0 : warm_units(region);
        size_t more = units - (before ? before->units : 0);
        if (warm > 0 && !region_grow(region, warm + more, &left))
            warm = 0;
        if (warm == 0 && !region_grow(region, more, &left))
            return NULL;
        if (left > 0)
            span_free_coalesce(region, old_frontier, left);
    } while (region->frontier != old_frontier);
    if (warm > 0)
        keep_warm(region, warm);
    size_t first = region->frontier;
    if (before != NULL) {
        first -= before->units;
        span_free_remove(before);
    }
    region->frontier = first + units;
    struct span *span = &region->spans[first];
    span->units = (uint32_t)units;
    span->region = (uint8_t)(region - regions);
    return span;
}

/* Cuts `units` at the frontier of the first region that has room. The break is asked to move only where none has, because
 * something may be in its way for ever; then a mapped region is added. */
static struct span *cut_anywhere(size_t units, bool small) {
    struct region *heap = &regions[0];
    bool heap_has_room = heap->mapped - heap->frontier >= units;
    for (unsigned i = 1; i < region_count && !heap_has_room; i++) {
        struct span *span = frontier_cut(&regions[i], units, small);
        if (span != NULL)
            return span;
    }
    struct span *span = frontier_cut(heap, units, small);
    if (span != NULL)
        return span;
    struct region *added = region_add(units);
    return added ? frontier_cut(added, units, small) : NULL;
}

/* The first `units` of a FREE span, its rest freed again. */
static struct span *cut_free(struct span *span, size_t units) {
    struct region *region = span_region(span);
    size_t first = span_index(span), rest = span->units - units;
    span_free_remove(span);
    span->units = (uint32_t)units;
    if (rest > 0 && span->kept)
        span_free_keep(region, first + units, rest);
    else if (rest > 0)
        span_free_insert_counted(region, first + units, rest, span->dirty - span_dirty_count(region, first, units));
    return span;
}

struct span *span_run_take(size_t units, bool small) {
    if (units > UINT32_MAX || !region_init())
        return NULL;
    struct span *span = span_tree_best(&span_trees[false], units);
    if (span == NULL && small)
        span = span_tree_best(&span_trees[true], units);
    if (span != NULL)
        return cut_free(span, units);
    span = cut_anywhere(units, small);
    if (span != NULL || small)
        return span;
    span = span_tree_best(&span_trees[true], units);
    return span ? cut_free(span, units) : NULL;
}

void span_run_use(struct region *region, size_t first, size_t units) {
    span_amount_wanted_locked(region, first, units);
    span_dirty_set(region, first, units, false);
}
