/* SPDX-License-Identifier: MIT */
#include "heap/span_sweep.h"

#include <stdatomic.h>

#include "os/os.h"
#include "kit/lock.h"
#include "kit/probe.h"
#include "kit/tunables.h"
#include "heap/span.h"
#include "heap/span_free.h"

static _Atomic bool is_locked; /* memory of the heap was, when it was given back: the program has locked it */

/* Memory that the program has locked goes as well. */
static bool purge(void *addr, size_t bytes) {
    if (os_purge(addr, bytes))
        return true;
    bool given = os_purge_locked(addr, bytes);
    if (given)
        atomic_store_explicit(&is_locked, true, memory_order_relaxed);
    return given;
}

bool span_purge_pages(void *addr, size_t bytes) {
    bool given = purge(addr, bytes);
    if (probe_purge_is_on() && given)
        probe_purge((uintptr_t)addr, bytes, 0);
    return given;
}

/* Calls `see` with the whole OS pages of what an array has for units [first, end), `each` bytes a unit, if there are any. */
static void see_whole_pages(const void *array, size_t each, size_t first, size_t end,
                            void (*see)(void *start, size_t bytes, void *data), void *data) {
    uintptr_t from = align_up((uintptr_t)array + first * each, OS_PAGE);
    uintptr_t to = align_down((uintptr_t)array + end * each, OS_PAGE);
    if (from < to)
        see((void *)from, to - from, data);
}

/* Of a free span the structure of the head is of use only: those of the other units say NONE, which is 0, and bits of blocks
 * at home are set anew where a span begins. */
void span_each_unused(const struct region *region, size_t first, size_t end,
                      void (*see)(void *start, size_t bytes, void *data), void *data) {
    see_whole_pages(region->spans, sizeof(struct span), first + 1, end, see, data);
    see_whole_pages(region->home, HOME_WORDS * sizeof(uint64_t), first, end, see, data);
}

static void discard(void *start, size_t bytes, void *unused) {
    (void)unused;
    os_discard(start, bytes);
}

bool span_give_back(const struct span *span) {
    bool given = span_purge_pages(span_address(span), (size_t)span->units << UNIT_SHIFT);
    if (given)
        span_each_unused(span_region(span), span_index(span), span_index(span) + span->units, discard, NULL);
    return given;
}

void span_give_beyond_locked(void) {
    if (LIKELY(!atomic_load_explicit(&is_locked, memory_order_relaxed)))
        return;
    for (struct region *region = regions; region < regions + region_count; region++) {
        char *from = (char *)region->base + (region->frontier << UNIT_SHIFT);
        size_t bytes = (region->mapped - region->frontier) << UNIT_SHIFT;
        if (bytes > 0)
            os_purge_locked(from, bytes);
    }
}

/* ---- a piece of a free span --------------------------------------------------------------------------------------- */

/* What is given back by one call: dirty units, and clean ones between, as they hold nothing. */
struct piece {
    struct span *span; /* HELD. None of its units is fresh or old meanwhile, so that no other sweep meets it */
    size_t dirty;
};

/* Where it ends in the region. */
static size_t region_end(const struct region *region, const struct sweep *sweep) {
    return sweep->end != 0 ? min_size(sweep->end, region->frontier) : region->frontier;
}

/* The first unit from where the sweep is that is to be given back; those before become old. SIZE_MAX if the region has no
 * more. */
static size_t find_unit_locked(struct region *region, struct sweep *sweep) {
    for (size_t at = sweep->at, end = region_end(region, sweep); at < end; at = (at | 63) + 1) {
        const struct dirty_word *word = &region->dirty[at / 64];
        uint64_t wanted = (word->old | (sweep->all ? word->fresh : 0)) >> at % 64;
        size_t before = wanted != 0 ? (size_t)__builtin_ctzll(wanted) : 64 - at % 64;
        if ((word->old | word->fresh) != 0)
            span_dirty_age(region, at, min_size(before, end - at));
        if (wanted != 0)
            return at + before < end ? at + before : SIZE_MAX;
    }
    return SIZE_MAX;
}

/* The FREE span that a unit lies in: most often that which was met last, as a large one is given back by pieces. */
static struct span *free_span_of(struct region *region, const struct sweep *sweep, size_t unit) {
    struct span *last = &region->spans[sweep->head], *span = &region->spans[unit];
    if (sweep->head <= unit && last->state == SPAN_FREE && unit - sweep->head < last->units)
        return last;
    while (span->state != SPAN_FREE)
        span = span->state == SPAN_TAIL ? &region->spans[span->head] : span - 1;
    return span;
}

/* Where the piece that starts at unit `first` ends: before a unit that is not to go, behind one that is. */
static size_t find_end(const struct region *region, const struct sweep *sweep, size_t first, size_t most) {
    size_t end = first;
    for (size_t at = first; at < most; at++) {
        const struct dirty_word *word = &region->dirty[at / 64];
        bool fresh = (word->fresh >> at % 64 & 1) != 0;
        if (fresh && !sweep->all)
            break;
        if (fresh || (word->old >> at % 64 & 1) != 0)
            end = at + 1;
    }
    return end;
}

/* Makes units [first, end) of a FREE span HELD; the rest stays FREE. */
static struct span *hold_part_locked(struct span *span, size_t first, size_t end) {
    struct region *region = span_region(span);
    size_t start = span_index(span), span_end = start + span->units;
    span_free_remove(span);
    if (first > start)
        span_free_insert(region, start, first - start);
    if (end < span_end)
        span_free_insert(region, end, span_end - end);
    struct span *part = &region->spans[first];
    part->units = (uint32_t)(end - first);
    part->region = (uint8_t)(region - regions);
    span_hold_locked(part, false);
    return part;
}

/* Takes the next piece that is to be given back. False if the sweep has come by all units. */
static bool take_piece_locked(struct sweep *sweep, struct piece *piece) {
    unsigned count = sweep->end != 0 ? 1 : region_count;
    for (; sweep->region < count; sweep->region++, sweep->at = sweep->head = 0) {
        struct region *region = &regions[sweep->region];
        size_t first = find_unit_locked(region, sweep);
        if (first == SIZE_MAX)
            continue;
        struct span *span = free_span_of(region, sweep, first);
        size_t end = min_size(span_index(span) + span->units, first + PIECE_UNITS);
        end = find_end(region, sweep, first, min_size(end, region_end(region, sweep)));
        piece->dirty = span_dirty_count(region, first, end - first);
        piece->span = hold_part_locked(span, first, end);
        span_dirty_set(region, first, end - first, false);
        sweep->at = end;
        return true;
    }
    sweep->over = true;
    return false;
}

/* The piece is FREE again. What was refused is tried again when it has become old anew. Returns the bytes that were given. */
static size_t return_piece_locked(struct sweep *sweep, const struct piece *piece, bool given) {
    struct region *region = span_region(piece->span);
    if (!given) {
        span_dirty_set(region, span_index(piece->span), piece->span->units, true);
        sweep->over = true;
    }
    struct span *span = span_free_held(piece->span);
    if (region == &regions[sweep->region])
        sweep->head = span_index(span);
    return given ? piece->dirty << UNIT_SHIFT : 0;
}

size_t span_sweep(struct sweep *sweep, struct sweep_bound bound) {
    struct piece piece;
    size_t bytes = 0;
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    for (size_t calls = 0; calls < bound.calls && bytes < bound.bytes && !sweep->over; calls++) {
        if (!take_piece_locked(sweep, &piece))
            break;
        lock_release(&page_heap.lock, LOCK_SPANS);
        bool given = span_give_back(piece.span);
        lock_acquire(&page_heap.lock, LOCK_SPANS);
        bytes += return_piece_locked(sweep, &piece, given);
    }
    lock_release(&page_heap.lock, LOCK_SPANS);
    return bytes;
}
