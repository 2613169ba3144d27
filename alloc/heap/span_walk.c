/* SPDX-License-Identifier: MIT */
#include "heap/span.h"

#include <stdatomic.h>

#include "base/freelist.h"
#include "base/sizeclass.h"
#include "os/os.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "heap/span_free.h"
#include "heap/span_shelf.h"
#include "heap/span_tree.h"
#include "heap/mark.h"
#include "heap/unitmap.h"

bool span_is_block(const void *p, unsigned class) {
    const struct span *span = (uintptr_t)p % BLOCK_ALIGN == 0 ? span_find(p) : NULL;
    if (span == NULL || span->state != SPAN_SMALL || span->class != class)
        return false;
    size_t offset = (size_t)((const char *)p - span_address(span)), size = class_bytes(class);
    return offset % size == 0 && offset / size < span_carved(span);
}

size_t span_chain_length(const void *chain, unsigned class, size_t most) {
    size_t length = 0;
    for (const struct block *block = chain; block != NULL; block = block->next)
        if (length++ == most || !span_is_block(block, class))
            return SIZE_MAX;
    return length;
}

READS_OTHERS bool span_chain_leads_to(const void *chain, unsigned class, const void *block, bool changing) {
    const struct block *at = chain;
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    for (size_t most = UINT16_MAX; at != block && most > 0 && span_is_block(at, class); most--) { /* no list is longer */
        const struct block *next = *(struct block *const volatile *)&at->next;
        atomic_thread_fence(memory_order_acquire);
        if (changing && at->mark != unitmap.mark)
            break;
        at = next;
    }
    lock_release(&page_heap.lock, LOCK_SPANS);
    return at == block;
}

/* Whether the clean units in an address range begin and end with a word of zeros, as far as both lie in it. */
static bool clean_units_hold_zeros(const struct region *region, uintptr_t from, uintptr_t to) {
    const size_t last = UNIT / sizeof(uint64_t) - 1;
    for (size_t at = (from - region->base) >> UNIT_SHIFT; region->base + (at << UNIT_SHIFT) < to; at++) {
        const uint64_t *words = (const uint64_t *)(region->base + (at << UNIT_SHIFT));
        bool first_in = (uintptr_t)words >= from, last_in = (uintptr_t)(words + last) < to;
        if (span_dirty_count(region, at, 1) == 0 && ((first_in && words[0] != 0) || (last_in && words[last] != 0)))
            return false;
    }
    return true;
}

/* S4, by a look at the first and the last word of each clean unit. Only where there is memory, as a page without any would get
 * some by the look, unless the kernel has a page of zeros; a process that is shut in cannot ask for that. */
static bool is_clean_as_said(struct os_pages *pages, const struct region *region, const struct span *span) {
    uintptr_t start = (uintptr_t)span_address(span), end = start + ((size_t)span->units << UNIT_SHIFT);
    struct os_pages_run run;
    if (span->dirty == span->units)
        return true;
    if (os_is_shut_in())
        return clean_units_hold_zeros(region, start, end);
    os_pages_over(pages, (const void *)start, end - start);
    while (os_pages_next(pages, &run))
        if (!clean_units_hold_zeros(region, run.start, run.end))
            return false;
    return true;
}

static void walk_free(struct walk *walk, struct os_pages *pages, const struct region *region, const struct span *span,
                      size_t first) {
    const struct span *last = span + span->units - 1;
    bool at_end = first + span->units >= region->frontier;
    report_walk(walk, last == span || (last->state == SPAN_TAIL && last->head == first), "span S1", span);
    report_walk(walk, at_end || span[span->units].state != SPAN_FREE, "span S2", span);
    report_walk(walk, span_tree_contains(&span_trees[span->kept], span), "span S3", span);
    report_walk(walk, span->dirty == span_dirty_count(region, first, span->units) && is_clean_as_said(pages, region, span),
                "span S4", span);
}

static void walk_used(struct walk *walk, const struct region *region, const struct span *span, size_t first) {
    bool small = span->state == SPAN_SMALL, inside = true;
    for (size_t i = 1; i < span->units; i++)
        inside = inside && (small ? span[i].state == SPAN_PART && span[i].head == first : span[i].state == SPAN_NONE);
    report_walk(walk, inside, "span S1", span);
    report_walk(walk, span_dirty_count(region, first, span->units) == 0, "span S4", span);
}

static void walk_map(struct walk *walk, const char *start, size_t units, unsigned entry) {
    for (size_t i = 0; i < units; i++) {
        const char *unit = start + (i << UNIT_SHIFT);
        if (unitmap_index(unit) < unitmap.limit && !report_walk(walk, unitmap_find(unit) == entry, "unitmap U1", unit))
            return;
    }
}

/* Looks at the span that starts at unit `first`, and adds it up. Returns how many units to go on by. */
static size_t walk_span(struct walk *walk, struct os_pages *pages, const struct region *region, size_t first,
                        struct span_totals *found, struct shelf_totals *shelved) {
    const struct span *span = &region->spans[first];
    const char *start = (const char *)region->base + (first << UNIT_SHIFT);
    bool used = span->state == SPAN_SMALL || span->state == SPAN_LARGE || span->state == SPAN_HELD ||
                span->state == SPAN_SHELVED || span->state == SPAN_CACHED;
    if (!used && span->state != SPAN_FREE) { /* NONE here is a hole: foreign memory */
        report_walk(walk, span->state == SPAN_NONE, "span S1", span);
        return 1;
    }
    if (!report_walk(walk, span->units > 0 && span->units <= region->frontier - first, "span S1", span))
        return 1;
    if (used)
        walk_used(walk, region, span, first);
    else
        walk_free(walk, pages, region, span, first);
    walk_map(walk, start, span->units, span->state == SPAN_SMALL ? span_map_entry(span) : 0);
    found->free += span->state == SPAN_FREE ? span->units : 0;
    found->free_count += span->state == SPAN_FREE;
    found->free_dirty += span->state == SPAN_FREE ? span->dirty : 0;
    found->small += span->state == SPAN_SMALL ? span->units : 0;
    bool large = span->state == SPAN_LARGE || span->state == SPAN_CACHED;
    found->large += large || span->state == SPAN_SHELVED ? span->units : 0;
    found->large_count += large;
    shelved->units += span->state == SPAN_SHELVED ? span->units : 0;
    shelved->spans += span->state == SPAN_SHELVED;
    return span->units;
}

/* S4: no unit is both fresh and old. */
static void walk_bits(struct walk *walk, const struct region *region) {
    for (size_t at = 0; at < region->frontier; at += 64) {
        const struct dirty_word *word = &region->dirty[at / 64];
        if (!report_walk(walk, (word->fresh & word->old) == 0, "span S4", word))
            return;
    }
}

void span_walk(struct walk *walk) {
    struct span_totals found = {0};
    struct shelf_totals shelved = {0};
    struct os_pages pages = {.fd = -1};
    if (!os_is_shut_in())
        os_pages_open(&pages);
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    for (unsigned i = 0; i < region_count; i++) {
        region_walk(walk, &regions[i]);
        walk_bits(walk, &regions[i]);
        for (size_t at = 0; at < regions[i].frontier;)
            at += walk_span(walk, &pages, &regions[i], at, &found, &shelved);
    }
    report_walk(walk, found.small == span_totals.small && found.large == span_totals.large, "span S1", &span_totals);
    shelved.handed = found.large_count - span_totals.large_count;
    report_walk(walk, found.free == span_totals.free && found.free_count == span_totals.free_count &&
                    found.free_dirty == span_totals.free_dirty, "span S3", &span_totals);
    bool mapped = unitmap.limit == 0 || unitmap.table != NULL;
    report_walk(walk, mapped && unitmap.limit <= (size_t)1 << (ADDRESS_BITS - UNIT_SHIFT), "unitmap U2", &unitmap);
    lock_release(&page_heap.lock, LOCK_SPANS);
    span_shelf_walk(walk, &shelved);
    os_pages_close(&pages);
}

READS_OTHERS void span_each_small(void (*see)(struct span *span, void *data), void *data) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    for (unsigned i = 0; i < region_count; i++)
        for (size_t at = 0; at < regions[i].frontier;) {
            struct span *span = &regions[i].spans[at];
            if (span->state == SPAN_SMALL)
                see(span, data);
            at += span_step_locked(span);
        }
    lock_release(&page_heap.lock, LOCK_SPANS);
}
