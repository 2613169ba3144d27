/* SPDX-License-Identifier: MIT */
#include "heap/span.h"

#include <stdatomic.h>

#include "os/os.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/span_amount.h"
#include "heap/span_free.h"
#include "heap/span_shelf.h"
#include "heap/span_sweep.h"
#include "heap/unitmap.h"

/* A span from here on is purged when it is freed, as if it had been a mapping: the largest size that the mmap threshold rises
 * to. On `growing`, blocks that grow by realloc, the peak of memory was 1.95 times that of the best allocator without this, and
 * is the same with it. */
#define PURGE_AT_ONCE (32 * MIB)
#define EXCESS_CALLS 64 /* that a part of it may make for a free because too much is dirty (span_amount.h) */
#define EXCESS_PARTS 4  /* that a free gives back, if other threads freed more meanwhile; the next free goes on */

/* ---- the top of the brk heap -------------------------------------------------------------------------------------- */

/* What is free there; NULL if nothing is. */
static struct span *free_top(void) {
    struct region *heap = &regions[0];
    return heap->spans ? span_free_before(heap, heap->frontier) : NULL;
}

/* Bytes behind the frontier that were made present ahead. */
static size_t warm_beyond(const struct region *heap) {
    uintptr_t frontier = heap->base + (heap->frontier << UNIT_SHIFT);
    return heap->warm > frontier ? heap->warm - frontier : 0;
}

/* Moves the break down over what is free at the top, but for `pad` bytes. Returns the bytes with memory that the OS got. */
static size_t shrink_top(size_t pad) {
    struct region *heap = &regions[0];
    struct span *last = free_top();
    size_t first = last ? span_index(last) : heap->frontier;
    if (heap->spans == NULL || (heap->mapped - first) << UNIT_SHIFT <= pad)
        return 0;
    size_t keep = min_size(units_for(pad), heap->mapped - first), warm = warm_beyond(heap);
    size_t end = max_size(first, min_size(heap->frontier, first + keep));
    size_t old_frontier = heap->frontier, given = 0;
    if (last != NULL)
        span_free_remove(last);
    heap->frontier = end;
    if (region_shrink(heap, first, pad) == 0) {
        heap->frontier = old_frontier;
        end = old_frontier;
    } else {
        given = (span_dirty_count(heap, end, old_frontier - end) << UNIT_SHIFT) + warm;
        span_dirty_set(heap, end, old_frontier - end, false);
    }
    if (end > first)
        span_free_insert(heap, first, end - first);
    return given;
}

static bool is_worth_shrinking(size_t units) {
    return units << UNIT_SHIFT > tunables.trim_threshold;
}

/* True if what is free at the top, all of it clean, is more than trim_threshold: then address space is given back, too. */
static bool top_is_worth_it(void) {
    const struct span *last = free_top();
    return last != NULL && last->dirty == 0 && is_worth_shrinking(last->units);
}

/* Moves the break down to unit `from`, if all that lies behind is free and clean, and worth it. */
static void shrink_clean_top(size_t from) {
    struct region *heap = &regions[0];
    const struct span *last = free_top();
    if (last == NULL || from < span_index(last) || from >= heap->frontier || !is_worth_shrinking(heap->frontier - from) ||
        span_dirty_count(heap, from, heap->frontier - from) > 0)
        return;
    shrink_top(max_size((from - span_index(last)) << UNIT_SHIFT, tunables.top_pad));
}

/* ---- what is more than may stay ----------------------------------------------------------------------------------- */

/* Gives back the last `units` of what is free at the top. The frontier goes down with them: a heap that fills again then grows
 * again, by huge pages and in batches. Returns the units that the OS got. */
static size_t give_top(size_t units) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    const struct span *last = free_top();
    size_t from = last ? regions[0].frontier - min_size(units, last->units) : 0;
    lock_release(&page_heap.lock, LOCK_SPANS);
    if (last == NULL)
        return 0;
    struct sweep sweep = {.at = from, .all = true};
    size_t given = span_sweep(&sweep, (struct sweep_bound){EXCESS_CALLS, units << UNIT_SHIFT});
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    shrink_clean_top(from);
    lock_release(&page_heap.lock, LOCK_SPANS);
    return given >> UNIT_SHIFT;
}

/* Gives back so many units, whatever their age: at the top first, then from all free memory in turn, lest the same be looked at
 * again and again. Returns those that the OS got. */
static size_t give_part(size_t units) {
    static struct sweep sweep = {.all = true};
    size_t given = give_top(units);
    if (given < units)
        given += span_sweep(&sweep, (struct sweep_bound){EXCESS_CALLS, (units - given) << UNIT_SHIFT}) >> UNIT_SHIFT;
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    if (sweep.over)
        sweep = (struct sweep){.all = true};
    lock_release(&page_heap.lock, LOCK_SPANS);
    return given;
}

/* What other threads free meanwhile is left to this one, as theirs may be the last frees that there are. */
static COLD void give_excess(size_t units) {
    for (unsigned part = 1; units > 0; part++) {
        size_t given = give_part(units);
        lock_acquire(&page_heap.lock, LOCK_SPANS);
        span_amount_given_locked(units, given);
        units = given > 0 && part < EXCESS_PARTS ? span_amount_take_excess_locked() : 0;
        lock_release(&page_heap.lock, LOCK_SPANS);
    }
}

/* ---- spans come back ---------------------------------------------------------------------------------------------- */

/* Gives the memory of a HELD span to the OS. Gives up the lock meanwhile. True if the OS has it. */
static bool purge_held_locked(const struct span *span) {
    lock_release(&page_heap.lock, LOCK_SPANS);
    bool purged = span_give_back(span);
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    return purged;
}

/* A span that is taken out of use becomes FREE. Its units that have memory are dirty. */
static void free_locked(struct span *span) {
    struct region *region = span_region(span);
    size_t first = span_index(span);
    if ((span->units < PURGE_AT_ONCE / UNIT && tunables.decay_ms > 0) || tunables_trim_never()) {
        span->state = SPAN_NONE;
        span_free_coalesce(region, first, span->units);
        return;
    }
    span_dirty_set(region, first, span->units, false);
    span_hold_locked(span, false);
    if (!purge_held_locked(span))
        span_dirty_set(region, first, span->units, true);
    span_free_held(span);
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
        if (!has_no_memory(span, i))
            span_dirty_set(span_region(span), span_index(span) + i, 1, true);
        if (i > 0)
            span[i].state = SPAN_NONE;
    }
    span_totals.small -= span->units;
}

static void take_large_locked(struct span *span) {
    span_totals.large -= span->units;
    span_totals.large_count--;
}

static struct {
    _Atomic uint64_t at;      /* when a span was last freed, ms */
    _Atomic uint64_t aged_at; /* `at` of the free before the last silence that was noticed */
    _Atomic bool was_silent;  /* that silence was not told of yet */
} last_release LINE_ALIGNED;

/* What lies free after a silence is old. It is marked before anything else is freed, as whoever gives it back comes by later
 * and must not take that as well: a program that fills its heap for a second and then frees it would lose all of it. */
static COLD void age_all_locked(uint64_t last) {
    for (struct region *region = regions; region < regions + region_count; region++)
        span_dirty_age(region, 0, region->frontier);
    atomic_store_explicit(&last_release.aged_at, last, memory_order_relaxed);
    atomic_store_explicit(&last_release.was_silent, true, memory_order_relaxed);
}

static bool is_silence(uint64_t last, uint64_t now) {
    return last != atomic_load_explicit(&last_release.aged_at, memory_order_relaxed) && now > last &&
           now - last >= tunables.decay_ms;
}

static void age_after_silence(uint64_t last, uint64_t now) {
    if (LIKELY(!is_silence(last, now)))
        return;
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    if (is_silence(last, now))
        age_all_locked(last);
    lock_release(&page_heap.lock, LOCK_SPANS);
}

/* A span is about to be freed. */
static void note_release(void) {
    uint64_t now = os_clock_ms(), last = atomic_load_explicit(&last_release.at, memory_order_relaxed);
    if (now == last)
        return;
    age_after_silence(last, now);
    atomic_store_explicit(&last_release.at, now, memory_order_relaxed);
}

/* Makes a span that is in use no more FREE, and releases the lock. */
static void release_locked(struct span *span) {
    free_locked(span);
    size_t excess = span_amount_take_excess_locked();
    lock_release(&page_heap.lock, LOCK_SPANS);
    if (UNLIKELY(excess > 0))
        give_excess(excess);
}

bool span_was_silent(uint64_t now) {
    uint64_t last = atomic_load_explicit(&last_release.at, memory_order_relaxed);
    if (is_silence(last, now))
        span_shelf_empty(); /* what lies there is as old */
    age_after_silence(last, now);
    return atomic_exchange_explicit(&last_release.was_silent, false, memory_order_relaxed);
}

static void release_small(struct span *span) {
    note_release();
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    take_small_locked(span);
    release_locked(span);
}

static bool release_large(struct span *span) {
    bool crowded = span_lock_for_large(), mine = span_claim_heap_locked(span, SPAN_NONE);
    if (mine) {
        take_large_locked(span);
        span_dirty_set(span_region(span), span_index(span), span->units, true);
        release_locked(span);
    } else {
        lock_release(&page_heap.lock, LOCK_SPANS);
    }
    if (UNLIKELY(crowded))
        span_shelf_grow();
    return mine;
}

void span_release(struct span *span) {
    if (span->state == SPAN_SMALL)
        release_small(span);
    else
        span_release_large(span);
}

bool span_release_large(struct span *span) {
    size_t excess = 0;
    note_release();
    enum shelf_answer answer = span_shelf_has(span) ? span_shelf_put(span, &excess) : SHELF_NOT;
    if (answer == SHELF_NOT)
        return release_large(span);
    if (UNLIKELY(excess > 0))
        give_excess(excess);
    return answer == SHELF_DONE;
}

bool span_try_hold(struct span *span, size_t *units) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    bool mine = span_claim(span, SPAN_HELD);
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

void span_trim(size_t given) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    span_amount_forget_locked(given >> UNIT_SHIFT);
    if (top_is_worth_it())
        given += shrink_top(tunables.top_pad);
    if (given > 0)
        span_give_beyond_locked();
    lock_release(&page_heap.lock, LOCK_SPANS);
}

/* Gives back what is free, but for the first `pad` bytes of what is free at the top. */
static size_t sweep_but_pad(size_t pad) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    const struct span *last = free_top();
    size_t first = last ? span_index(last) : regions[0].frontier;
    lock_release(&page_heap.lock, LOCK_SPANS);
    struct sweep behind = {.at = first + units_for(pad), .all = true}, before = {.all = true, .end = first};
    const struct sweep_bound all = {SIZE_MAX, SIZE_MAX};
    return span_sweep(&behind, all) + (first > 0 ? span_sweep(&before, all) : 0);
}

size_t span_purge(size_t pad) {
    span_shelf_close();
    size_t given = sweep_but_pad(pad);
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    given += shrink_top(pad);
    if (given > 0)
        span_give_beyond_locked();
    lock_release(&page_heap.lock, LOCK_SPANS);
    return given;
}

/* What lay on shelves when they were counted; since then some may have gone to the page heap, where it is counted as well. */
static void add_shelved(struct span_totals *totals, const struct shelf_totals *shelved) {
    size_t units = min_size(shelved->units, totals->large), blocks = totals->large_count + shelved->handed;
    totals->large -= units;
    totals->large_count = blocks <= SIZE_MAX / 2 ? blocks : 0;
    totals->free += units;
    totals->free_count += shelved->spans;
    totals->free_dirty += min_size(shelved->dirty, units);
}

/* What threads work on at the moment. */
static void add_held_locked(struct span_totals *totals) {
    for (const struct span *span = page_heap.held; span != NULL; span = span->next_held) {
        *(span->listed ? &totals->large : &totals->free) += span->units;
        *(span->listed ? &totals->large_count : &totals->free_count) += 1;
    }
}

void span_count(struct span_totals *totals, struct region_totals *held, size_t *unused, size_t *top) {
    size_t beyond = 0;
    struct shelf_totals shelved;
    span_shelf_count(&shelved);
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    *totals = span_totals;
    add_shelved(totals, &shelved);
    add_held_locked(totals);
    region_count_bytes(held);
    for (unsigned i = 0; i < region_count; i++)
        beyond += regions[i].mapped - regions[i].frontier;
    const struct region *heap = &regions[0];
    const struct span *last = free_top();
    *unused = beyond << UNIT_SHIFT;
    *top = (heap->mapped - heap->frontier + (last ? last->units : 0)) << UNIT_SHIFT;
    lock_release(&page_heap.lock, LOCK_SPANS);
}

/* Spans that are held by threads that did not live on in this child. */
static void forked(void) {
    span_amount_forked();
    span_shelf_forked();
    for (struct span *span = page_heap.held, *next; span != NULL; span = next) {
        next = span->next_held;
        if (span->holder == lock_self())
            continue;
        if (span->listed) {
            unhold_block_locked(span);
        } else {
            span_dirty_set(span_region(span), span_index(span), span->units, true);
            span_free_held(span);
        }
    }
}

const struct lock_set span_locks = {.rank = LOCK_SPANS, .lock = &page_heap.lock, .forked = forked};
