/* SPDX-License-Identifier: MIT */
#include "heap/span.h"

#include <stdatomic.h>
#include <string.h>

#include "base/freelist.h"
#include "base/sizeclass.h"
#include "os/os.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/span_tree.h"
#include "heap/unitmap.h"

#define LOOK_MS 100                 /* how often to look for free spans that are old enough to go */
#define HOT_MIN (1 * MIB)           /* dirty free memory that stays, or */
#define HOT_PART 16                 /* this part of the heap */
#define PURGE_MIN_UNITS (64 * KIB / UNIT)
#define WARM_FROM (4 * MIB)         /* heaps below this fault page by page */
#define WARM_STEP (64 * KIB)
#define HUGE_FROM (32 * MIB)        /* from here on the frontier moves over huge pages */
#define HUGE_SLOW_US 1000           /* small pages would be there by then */
#define HUGE_SLOW_MAX 2
#define KEEP_MAX (32 * MIB)         /* a span above goes back to the OS when it is freed, as a mapping would */

struct span_totals span_totals;
static struct lock span_lock;
static struct span *tree;
static struct span *newest, *oldest; /* FREE and dirty spans by age */
static struct span *purging;         /* being given to the OS, without the lock; LARGE meanwhile; linked by newer */
static uint64_t released_at;         /* the time of the last release, ms */
static _Atomic size_t dirty_hint;    /* span_totals.free_dirty for those who do not hold the lock */
static _Atomic uint64_t looked_at;   /* when old free spans were last looked for */
static bool populate_works = true;
static bool hidden;                  /* small spans are not in the unit map */
static int huge_slow;

static struct region *region_of(const struct span *span) {
    return &regions[span->region];
}

static size_t index_of(const struct span *span) {
    return (size_t)(span - region_of(span)->spans);
}

/* ---- dirty bits -------------------------------------------------------------------------------------------------- */

static void dirty_set(struct region *region, size_t first, size_t units, bool dirty) {
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

static size_t dirty_count(const struct region *region, size_t first, size_t units) {
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
    span->older = newest;
    *(newest ? &newest->newer : &oldest) = span;
    newest = span;
    span->listed = true;
}

static void age_remove(struct span *span) {
    *(span->newer ? &span->newer->older : &newest) = span->older;
    *(span->older ? &span->older->newer : &oldest) = span->newer;
    span->listed = false;
}

static void count_free(const struct span *span, bool more) {
    span_totals.free += more ? span->units : -(size_t)span->units;
    span_totals.free_count += more ? 1 : -(size_t)1;
    span_totals.free_dirty += more ? span->dirty : -(size_t)span->dirty;
    atomic_store_explicit(&dirty_hint, span_totals.free_dirty, memory_order_relaxed);
}

/* Makes [first, first + units) one FREE span, which no other FREE span may touch. */
static void free_insert(struct region *region, size_t first, size_t units) {
    struct span *span = &region->spans[first], *tail = span + units - 1;
    tail->state = SPAN_TAIL;
    tail->head = (uint32_t)first;
    span->state = SPAN_FREE;
    span->units = (uint32_t)units;
    span->region = (uint8_t)(region - regions);
    span->dirty = (uint32_t)dirty_count(region, first, units);
    span->listed = false;
    count_free(span, true);
    span_tree_insert(&tree, span);
    if (span->dirty > 0) {
        span->freed_at = released_at;
        age_insert(span);
    }
}

static void free_remove(struct span *span) {
    span_tree_remove(&tree, span);
    if (span->listed)
        age_remove(span);
    count_free(span, false);
    span[span->units - 1].state = SPAN_NONE;
    span->state = SPAN_NONE;
}

/* The FREE span that ends just before unit `first`, or NULL. */
static struct span *free_before(struct region *region, size_t first) {
    if (first == 0)
        return NULL;
    struct span *last = &region->spans[first - 1];
    if (last->state == SPAN_FREE)
        return last;
    return last->state == SPAN_TAIL ? &region->spans[last->head] : NULL;
}

/* Makes a run of units FREE, merged with its neighbours. */
static void free_coalesce(struct region *region, size_t first, size_t units) {
    struct span *before = free_before(region, first), *after = &region->spans[first + units];
    if (before != NULL) {
        first -= before->units;
        units += before->units;
        free_remove(before);
    }
    if (first + units < region->frontier && after->state == SPAN_FREE) {
        units += after->units;
        free_remove(after);
    }
    free_insert(region, first, units);
}

/* ---- the frontier ------------------------------------------------------------------------------------------------ */

/* The next 2 MiB as a huge page, present at once. A host that has none ready takes longer than for small pages: after
 * HUGE_SLOW_MAX of those no more are asked for. Returns where the warm memory now ends, or `from`. */
static uintptr_t warm_huge(uintptr_t from, uintptr_t mapped_end) {
    uintptr_t start = align_up(from, HUGE_PAGE), end = start + HUGE_PAGE;
    bool wanted = tunables.hugepages != CHOICE_OFF && huge_slow < HUGE_SLOW_MAX && end <= mapped_end;
    if (!wanted || !os_hugepage((void *)start, HUGE_PAGE))
        return from;
    uint64_t before = os_clock_us();
    bool present = os_populate((void *)from, end - from);
    if (!present || os_clock_us() - before > HUGE_SLOW_US)
        huge_slow++;
    return present ? end : from;
}

/* A heap that grows steadily gets its next pages present before they are touched: in small batches, later as huge
 * pages. Only memory beyond the frontier is treated so, never what lies behind it. */
static void warm(struct region *region, size_t first, size_t units) {
    uintptr_t from = region->base + (first << UNIT_SHIFT), to = from + (units << UNIT_SHIFT);
    uintptr_t mapped_end = region->base + (region->mapped << UNIT_SHIFT);
    if (to <= region->warm || first << UNIT_SHIFT < WARM_FROM || !populate_works)
        return;
    from = max_size(from, region->warm);
    uintptr_t end = first << UNIT_SHIFT >= HUGE_FROM ? warm_huge(from, mapped_end) : from;
    if (end < to) {
        end = align_up(to, WARM_STEP);
        if (end > mapped_end)
            return;
        populate_works = os_populate((void *)from, end - from);
    }
    region->warm = end;
}

/* Cuts `units` at the frontier, with the FREE span that ends there, if any. */
static struct span *frontier_cut(struct region *region, size_t units) {
    struct span *before = free_before(region, region->frontier);
    size_t have = before ? before->units : 0, left;
    size_t old_frontier = region->frontier;
    if (!region_grow(region, units - have, &left))
        return NULL;
    if (left > 0) { /* the frontier has leapt over foreign memory: `before` is no longer next to it */
        free_coalesce(region, old_frontier, left);
        before = NULL;
        if (!region_grow(region, units, &left))
            return NULL;
    } else if (region->frontier != old_frontier) {
        before = NULL;
        if (!region_grow(region, units, &left))
            return NULL;
    }
    size_t first = region->frontier;
    if (before != NULL) {
        first -= before->units;
        free_remove(before);
    }
    region->frontier = first + units;
    struct span *span = &region->spans[first];
    span->units = (uint32_t)units;
    span->region = (uint8_t)(region - regions);
    return span;
}

static struct span *cut_anywhere(size_t units) {
    for (unsigned i = 0; i < region_count; i++) {
        struct span *span = frontier_cut(&regions[i], units);
        if (span != NULL)
            return span;
    }
    struct region *arena = region_add(units);
    return arena ? frontier_cut(arena, units) : NULL;
}

/* A run of exactly `units`: the best fitting FREE span, its rest freed again, or fresh memory. */
static struct span *run_acquire(size_t units) {
    if (units > UINT32_MAX || !region_init())
        return NULL;
    struct span *span = span_tree_best(tree, units);
    if (span == NULL) {
        span = cut_anywhere(units);
        return span != NULL || !region_relieve() ? span : cut_anywhere(units);
    }
    size_t rest = span->units - units;
    free_remove(span);
    span->units = (uint32_t)units;
    if (rest > 0)
        free_insert(region_of(span), index_of(span) + units, rest);
    return span;
}

/* ---- spans in use ------------------------------------------------------------------------------------------------ */

static void register_small(const struct span *span) {
    unitmap_set((uintptr_t)span_address(span), span->units, hidden ? 0 : span->class * CLASS_STEP);
}

static void register_region(const struct region *region) {
    for (size_t at = 0; at < region->frontier;) {
        const struct span *span = &region->spans[at];
        if (span->state == SPAN_SMALL)
            register_small(span);
        at += span->state == SPAN_NONE ? 1 : span->units; /* NONE is a hole */
    }
}

void span_show(bool shown) {
    lock_acquire(&span_lock, LOCK_SPANS);
    hidden = !shown;
    for (unsigned i = 0; i < region_count; i++)
        register_region(&regions[i]);
    lock_release(&span_lock, LOCK_SPANS);
}

struct span *span_acquire_small(unsigned class) {
    size_t units = class_units(class);
    lock_acquire(&span_lock, LOCK_SPANS);
    struct span *span = run_acquire(units);
    if (span != NULL) {
        struct region *region = region_of(span);
        size_t first = index_of(span);
        warm(region, first, units);
        dirty_set(region, first, units, true);
        for (size_t i = 1; i < units; i++) {
            span[i].state = SPAN_PART;
            span[i].head = (uint32_t)first;
        }
        span->next = span->prev = NULL;
        span->live = span->carved = 0;
        span->capacity = (uint16_t)(units * UNIT / class_bytes(class));
        span->class = (uint8_t)class;
        memset(span_home(span), 0, (span->capacity + 63u) / 64 * sizeof(uint64_t));
        span->listed = false;
        span->state = SPAN_SMALL;
        span_totals.small += units;
        register_small(span);
    }
    lock_release(&span_lock, LOCK_SPANS);
    return span;
}

/* Frees what lies before the first aligned unit and behind the block. */
static struct span *trim_to_align(struct span *span, size_t units, size_t align) {
    struct region *region = region_of(span);
    size_t first = index_of(span), total = span->units;
    size_t skip = (align_up((uintptr_t)span_address(span), align) - (uintptr_t)span_address(span)) >> UNIT_SHIFT;
    struct span *aligned = span + skip;
    aligned->region = span->region;
    aligned->units = (uint32_t)units;
    aligned->state = SPAN_LARGE;
    if (skip > 0)
        free_coalesce(region, first, skip);
    if (total > skip + units)
        free_coalesce(region, first + skip + units, total - skip - units);
    return aligned;
}

struct span *span_acquire_large(size_t units, size_t align, bool *zeroed) {
    size_t slack = align > UNIT ? (align >> UNIT_SHIFT) - 1 : 0;
    if (units + slack < units)
        return NULL;
    lock_acquire(&span_lock, LOCK_SPANS);
    struct span *span = run_acquire(units + slack);
    if (span != NULL) {
        if (slack > 0)
            span = trim_to_align(span, units, align);
        span->state = SPAN_LARGE;
        *zeroed = dirty_count(region_of(span), index_of(span), units) == 0;
        dirty_set(region_of(span), index_of(span), units, true);
        span_totals.large += units;
        span_totals.large_count++;
    }
    lock_release(&span_lock, LOCK_SPANS);
    return span;
}

void span_release(struct span *span) {
    size_t units = span->units;
    bool purged = units >= KEEP_MAX / UNIT && os_purge(span_address(span), units << UNIT_SHIFT);
    lock_acquire(&span_lock, LOCK_SPANS);
    if (span->state == SPAN_SMALL) {
        ASSERT(span->live == 0 && !span->listed);
        unitmap_set((uintptr_t)span_address(span), units, 0);
        for (size_t i = 1; i < units; i++)
            span[i].state = SPAN_NONE;
        span_totals.small -= units;
    } else {
        ASSERT(span->state == SPAN_LARGE);
        span_totals.large -= units;
        span_totals.large_count--;
    }
    span->state = SPAN_NONE;
    if (purged)
        dirty_set(region_of(span), index_of(span), units, false);
    released_at = os_clock_ms();
    free_coalesce(region_of(span), index_of(span), units);
    lock_release(&span_lock, LOCK_SPANS);
    span_look();
}

static bool grow_in_place(struct span *span, size_t units) {
    struct region *region = region_of(span);
    size_t first = index_of(span), end = first + span->units, more = units - span->units;
    struct span *after = &region->spans[end];
    size_t have = end < region->frontier && after->state == SPAN_FREE ? after->units : 0, left = 0;
    bool at_top = end + have == region->frontier;
    if (have < more && !at_top)
        return false;
    if (have < more && !region_grow(region, more - have, &left))
        return false;
    if (left > 0) { /* foreign memory behind us */
        free_coalesce(region, end + have, left);
        return false;
    }
    if (have < more && end + have != region->frontier)
        return false;
    if (have > 0)
        free_remove(after);
    if (have > more)
        free_insert(region, first + units, have - more);
    else if (have < more)
        region->frontier = first + units;
    dirty_set(region, end, more, true);
    return true;
}

bool span_try_resize(struct span *span, size_t units) {
    size_t old = span->units;
    if (units == old)
        return true;
    lock_acquire(&span_lock, LOCK_SPANS);
    bool done = units < old || (units <= UINT32_MAX && grow_in_place(span, units));
    if (done) {
        span->units = (uint32_t)units;
        span_totals.large += units - old;
        if (units < old)
            free_coalesce(region_of(span), index_of(span) + units, old - units);
    }
    lock_release(&span_lock, LOCK_SPANS);
    return done;
}

struct span *span_find(const void *p) {
    struct region *region = region_find(p);
    if (region == NULL)
        return NULL;
    struct span *span = &region->spans[((uintptr_t)p - region->base) >> UNIT_SHIFT];
    if (span->state == SPAN_PART)
        span = &region->spans[span->head];
    return span->state == SPAN_SMALL || span->state == SPAN_LARGE ? span : NULL;
}

/* ---- giving memory back ------------------------------------------------------------------------------------------ */

/* The oldest span worth purging, taken out of the tree and marked LARGE so that nothing merges with it. */
static struct span *purge_take_locked(size_t age_ms, uint64_t now) {
    size_t hot = 0, least = 1;
    if (age_ms > 0) {
        size_t heap = span_totals.free + span_totals.small + span_totals.large;
        hot = max_size(HOT_MIN >> UNIT_SHIFT, heap / HOT_PART);
        /* A smaller hole would break up a huge page. */
        least = heap << UNIT_SHIFT > HUGE_FROM && huge_slow < HUGE_SLOW_MAX ? HUGE_PAGE / UNIT : PURGE_MIN_UNITS;
    }
    for (struct span *span = oldest; span != NULL; span = span->newer) {
        if (span_totals.free_dirty <= hot || (age_ms > 0 && now - span->freed_at < age_ms))
            return NULL;
        if (span->dirty < least)
            continue;
        free_remove(span);
        span->state = SPAN_LARGE;
        span->newer = purging;
        purging = span;
        return span;
    }
    return NULL;
}

static void purge_done_locked(struct span *span) {
    struct span **link = &purging;
    while (*link != span)
        link = &(*link)->newer;
    *link = span->newer;
    span->state = SPAN_NONE;
    free_coalesce(region_of(span), index_of(span), span->units);
}

static size_t shrink_top(size_t pad) {
    struct region *heap = &regions[0];
    struct span *last = heap->spans ? free_before(heap, heap->frontier) : NULL;
    size_t first = last ? index_of(last) : heap->frontier;
    if (heap->spans == NULL || (heap->mapped - first) << UNIT_SHIFT <= pad)
        return 0;
    size_t keep = min_size(units_for(pad), heap->mapped - first);
    size_t end = max_size(first, min_size(heap->frontier, first + keep));
    size_t old_frontier = heap->frontier;
    if (last != NULL)
        free_remove(last);
    heap->frontier = end;
    size_t given = region_shrink(heap, first, pad);
    if (given == 0) {
        heap->frontier = old_frontier;
        end = old_frontier;
    } else if (old_frontier > end) {
        dirty_set(heap, end, old_frontier - end, false);
    }
    if (end > first)
        free_insert(heap, first, end - first);
    return given;
}

static bool top_is_worth_it(void) {
    struct region *heap = &regions[0];
    struct span *last = heap->spans ? free_before(heap, heap->frontier) : NULL;
    return last != NULL && last->dirty == 0 && (size_t)last->units << UNIT_SHIFT > tunables.trim_threshold;
}

size_t span_purge(size_t age_ms, size_t pad) {
    size_t given = 0;
    uint64_t now = os_clock_ms();
    lock_acquire(&span_lock, LOCK_SPANS);
    struct span *span;
    while ((span = purge_take_locked(age_ms, now)) != NULL) {
        size_t units = span->units, dirty = span->dirty;
        lock_release(&span_lock, LOCK_SPANS);
        bool purged = os_purge(span_address(span), units << UNIT_SHIFT);
        lock_acquire(&span_lock, LOCK_SPANS);
        if (purged) {
            dirty_set(region_of(span), index_of(span), units, false);
            given += dirty << UNIT_SHIFT;
        }
        purge_done_locked(span);
        if (!purged)
            break;
    }
    if (age_ms == 0 || top_is_worth_it())
        given += shrink_top(pad);
    lock_release(&span_lock, LOCK_SPANS);
    return given;
}

void span_look(void) {
    if (atomic_load_explicit(&dirty_hint, memory_order_relaxed) << UNIT_SHIFT <= HOT_MIN)
        return;
    uint64_t now = os_clock_ms();
    if (now - atomic_load_explicit(&looked_at, memory_order_relaxed) < min_size(LOOK_MS, tunables.decay_ms))
        return;
    atomic_store_explicit(&looked_at, now, memory_order_relaxed);
    span_purge(max_size(tunables.decay_ms, 1), tunables.top_pad); /* an age of 0 would mean all that is free */
}

void span_count(struct span_totals *totals, struct region_totals *held, size_t *unused, size_t *top) {
    size_t beyond = 0;
    lock_acquire(&span_lock, LOCK_SPANS);
    *totals = span_totals;
    region_count_bytes(held);
    for (unsigned i = 0; i < region_count; i++)
        beyond += regions[i].mapped - regions[i].frontier;
    struct region *heap = &regions[0];
    const struct span *last = heap->spans ? free_before(heap, heap->frontier) : NULL;
    *unused = beyond << UNIT_SHIFT;
    *top = (heap->mapped - heap->frontier + (last ? last->units : 0)) << UNIT_SHIFT;
    lock_release(&span_lock, LOCK_SPANS);
}

/* ---- invariants -------------------------------------------------------------------------------------------------- */

bool span_is_block(const void *p, unsigned class) {
    const struct span *span = (uintptr_t)p % BLOCK_ALIGN == 0 ? span_find(p) : NULL;
    if (span == NULL || span->state != SPAN_SMALL || span->class != class)
        return false;
    size_t offset = (size_t)((const char *)p - span_address(span)), size = class_bytes(class);
    return offset % size == 0 && offset / size < span->carved;
}

size_t span_chain_length(const void *chain, unsigned class, size_t most) {
    size_t length = 0;
    for (const struct block *block = chain; block != NULL; block = block->next)
        if (length++ == most || !span_is_block(block, class))
            return SIZE_MAX;
    return length;
}

static bool is_purging(const struct span *span) {
    const struct span *at = purging;
    while (at != NULL && at != span)
        at = at->newer;
    return at != NULL;
}

/* Looks at the ends of each clean unit. */
static bool clean_units_hold_zeros(const struct region *region, size_t first, size_t units) {
    for (size_t at = first; at < first + units; at++) {
        const uint64_t *words = (const uint64_t *)(region->base + (at << UNIT_SHIFT));
        if (dirty_count(region, at, 1) == 0 && (words[0] | words[UNIT / sizeof *words - 1]) != 0)
            return false;
    }
    return true;
}

static void walk_free(struct walk *walk, const struct region *region, const struct span *span, size_t first) {
    const struct span *last = span + span->units - 1;
    bool at_end = first + span->units >= region->frontier;
    report_walk(walk, last == span || (last->state == SPAN_TAIL && last->head == first), "span S1", span);
    report_walk(walk, at_end || span[span->units].state != SPAN_FREE, "span S2", span);
    report_walk(walk, span_tree_contains(tree, span) && span->listed == (span->dirty > 0), "span S3", span);
    report_walk(walk,
                span->dirty == dirty_count(region, first, span->units) &&
                    clean_units_hold_zeros(region, first, span->units),
                "span S4", span);
}

static void walk_used(struct walk *walk, const struct region *region, const struct span *span, size_t first) {
    bool small = span->state == SPAN_SMALL, inside = true;
    for (size_t i = 1; i < span->units; i++)
        inside = inside && (small ? span[i].state == SPAN_PART && span[i].head == first : span[i].state == SPAN_NONE);
    report_walk(walk, inside, "span S1", span);
    report_walk(walk, is_purging(span) || dirty_count(region, first, span->units) == span->units, "span S4", span);
}

static void walk_map(struct walk *walk, const char *start, size_t units, unsigned entry) {
    for (size_t i = 0; i < units; i++) {
        const char *unit = start + (i << UNIT_SHIFT);
        if (unitmap_index(unit) < unitmap.limit && !report_walk(walk, unitmap_find(unit) == entry, "unitmap U1", unit))
            return;
    }
}

/* Returns the units to go on by. */
static size_t walk_span(struct walk *walk, const struct region *region, size_t first, struct span_totals *found) {
    const struct span *span = &region->spans[first];
    const char *start = (const char *)region->base + (first << UNIT_SHIFT);
    bool used = span->state == SPAN_SMALL || span->state == SPAN_LARGE;
    if (!used && span->state != SPAN_FREE) { /* NONE at this place is a hole: foreign memory */
        report_walk(walk, span->state == SPAN_NONE, "span S1", span);
        return 1;
    }
    if (!report_walk(walk, span->units > 0 && span->units <= region->frontier - first, "span S1", span))
        return 1;
    if (used)
        walk_used(walk, region, span, first);
    else
        walk_free(walk, region, span, first);
    walk_map(walk, start, span->units, span->state == SPAN_SMALL && !hidden ? span->class * CLASS_STEP : 0);
    found->free += span->state == SPAN_FREE ? span->units : 0;
    found->free_count += span->state == SPAN_FREE;
    found->free_dirty += span->state == SPAN_FREE ? span->dirty : 0;
    found->small += span->state == SPAN_SMALL ? span->units : 0;
    found->large += span->state == SPAN_LARGE && !is_purging(span) ? span->units : 0;
    return span->units;
}

static void walk_ages(struct walk *walk, size_t most) {
    size_t dirty = 0;
    const struct span *older = NULL;
    for (const struct span *span = oldest; span != NULL && most > 0; older = span, span = span->newer, most--) {
        dirty += span->dirty;
        if (!report_walk(walk, span->state == SPAN_FREE && span->listed && span->older == older, "span S3", span))
            return;
    }
    report_walk(walk, older == newest && dirty == span_totals.free_dirty, "span S3", newest);
}

void span_walk(struct walk *walk) {
    struct span_totals found = {0};
    lock_acquire(&span_lock, LOCK_SPANS);
    for (unsigned i = 0; i < region_count; i++) {
        region_walk(walk, &regions[i]);
        for (size_t at = 0; at < regions[i].frontier;)
            at += walk_span(walk, &regions[i], at, &found);
    }
    walk_ages(walk, found.free_count);
    report_walk(walk, found.small == span_totals.small && found.large == span_totals.large, "span S1", &span_totals);
    report_walk(walk, found.free == span_totals.free && found.free_count == span_totals.free_count, "span S3",
                &span_totals);
    bool mapped = unitmap.limit == 0 || unitmap.table != NULL;
    report_walk(walk, mapped && unitmap.limit <= (size_t)1 << (ADDRESS_BITS - UNIT_SHIFT), "unitmap U2", &unitmap);
    lock_release(&span_lock, LOCK_SPANS);
}

void span_each_small(void (*see)(struct span *span, void *data), void *data) {
    lock_acquire(&span_lock, LOCK_SPANS);
    for (unsigned i = 0; i < region_count; i++)
        for (size_t at = 0; at < regions[i].frontier; at++)
            if (regions[i].spans[at].state == SPAN_SMALL)
                see(&regions[i].spans[at], data);
    lock_release(&span_lock, LOCK_SPANS);
}

void span_check(void) {
    struct walk walk = {0};
    span_walk(&walk);
    CHECK(walk.broken == 0);
}

static void forked(void) {
    while (purging != NULL) /* the threads that were at it are gone */
        purge_done_locked(purging);
}

const struct lock_set span_locks = {.rank = LOCK_SPANS, .lock = &span_lock, .forked = forked};
