/* SPDX-License-Identifier: MIT */
#include "heap/span.h"

#include <string.h>

#include "base/sizeclass.h"
#include "os/os.h"
#include "kit/lock.h"
#include "kit/tunables.h"
#include "heap/huge.h"
#include "heap/span_amount.h"
#include "heap/span_free.h"
#include "heap/span_run.h"
#include "heap/span_shelf.h"
#include "heap/unitmap.h"

#define WARM_FROM (4 * MIB)         /* smaller heaps fault page by page: what is made present ahead may never be touched */
#define WARM_STEP (64 * KIB)        /* so at most 1.6 % of the smallest such heap */
#define KEPT_PART 64                /* of the memory in small blocks (1.6 %): what may be present for small spans to come */

static _Atomic bool populate_refused;

/* ---- pages made present ahead ----------------------------------------------------------------------------------- */

static bool heap_is_large(void) {
    return span_totals.free + span_totals.small + span_totals.large >= HUGE_FROM >> UNIT_SHIFT;
}

/* Pages that are about to be made present: [from, end), of which what lies below `own` is the span's. */
struct warming {
    struct region *region;
    uintptr_t from, own, end;
    bool huge;
};

/* A heap that grows steadily has its next pages made present before they are touched, many by one system call instead of by a
 * fault each: in batches of WARM_STEP, later as huge pages. Only for memory that is cut at the frontier for the first time, and
 * no more than the span's own where spans do not come to use what was made present for them. From here on they count as
 * present, so that no other thread does the same; the kernel is asked without the lock, as it takes its time. */
static struct warming plan_warming_locked(struct region *region, size_t first, size_t units) {
    uintptr_t from = region->base + (first << UNIT_SHIFT), to = from + (units << UNIT_SHIFT);
    uintptr_t mapped_end = region->base + (region->mapped << UNIT_SHIFT);
    struct warming warming = {region, max_size(from, region->warm), to, to, false};
    if (to <= region->warm || first << UNIT_SHIFT < WARM_FROM || atomic_load_explicit(&populate_refused, memory_order_relaxed))
        return (struct warming){.region = NULL};
    bool ahead = page_heap.kept_units <= span_totals.small / KEPT_PART;
    uintptr_t huge_end = ahead && heap_is_large() ? huge_end_locked(warming.from, mapped_end) : 0;
    warming.huge = huge_end >= to;
    if (ahead)
        warming.end = warming.huge ? huge_end : align_up(to, WARM_STEP);
    if (warming.end > mapped_end)
        return (struct warming){.region = NULL};
    region->warm = warming.end;
    return warming;
}

/* Makes the pages present. What is beyond the span's own may have been given back meanwhile, so only a refusal of these says
 * that the kernel cannot. */
static void make_present(const struct warming *warming) {
    void *from = (void *)warming->from;
    if (warming->region == NULL || (warming->huge && huge_populate(warming->from, warming->end)) ||
        (!warming->huge && os_populate(from, warming->end - warming->from)))
        return;
    if (!os_populate(from, warming->own - warming->from))
        atomic_store_explicit(&populate_refused, true, memory_order_relaxed);
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    if (warming->region->warm == warming->end)
        warming->region->warm = warming->own;
    lock_release(&page_heap.lock, LOCK_SPANS);
}

/* ---- spans in use ------------------------------------------------------------------------------------------------ */

static void register_small(const struct span *span) {
    unitmap_set((uintptr_t)span_address(span), span->units, span_map_entry(span));
}

READS_OTHERS static void register_region(const struct region *region) {
    for (size_t at = 0; at < region->frontier;) {
        const struct span *span = &region->spans[at];
        if (span->state == SPAN_SMALL)
            register_small(span);
        at += span_step_locked(span);
    }
}

void span_show(bool shown) {
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    page_heap.hidden = !shown;
    for (unsigned i = 0; i < region_count; i++)
        register_region(&regions[i]);
    lock_release(&page_heap.lock, LOCK_SPANS);
}

struct span *span_acquire_small(unsigned class, bool grown) {
    size_t units = class_units(class, grown);
    struct warming warming = {.region = NULL};
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    struct span *span = span_run_take(units, true);
    if (span != NULL) {
        struct region *region = span_region(span);
        size_t first = span_index(span);
        bool clean = span_dirty_count(region, first, units) == 0;
        warming = plan_warming_locked(region, first, units);
        span_run_use(region, first, units);
        for (size_t i = 1; i < units; i++) {
            span[i].state = SPAN_PART;
            span[i].head = (uint32_t)first;
            span[i].idle_pages = span[i].returned_pages = 0;
        }
        span->idle_pages = span->returned_pages = 0;
        span->paged = span->apart = false;
        span->fresh = clean && region->warm <= (uintptr_t)span_address(span);
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
    lock_release(&page_heap.lock, LOCK_SPANS);
    make_present(&warming);
    return span;
}

/* Frees what lies before the first aligned unit and behind the block. */
static struct span *trim_to_align(struct span *span, size_t units, size_t align) {
    struct region *region = span_region(span);
    size_t first = span_index(span), total = span->units;
    size_t skip = (align_up((uintptr_t)span_address(span), align) - (uintptr_t)span_address(span)) >> UNIT_SHIFT;
    struct span *aligned = span + skip;
    aligned->region = span->region;
    aligned->units = (uint32_t)units;
    aligned->state = SPAN_LARGE;
    if (skip > 0)
        span_free_coalesce(region, first, skip);
    if (total > skip + units)
        span_free_coalesce(region, first + skip + units, total - skip - units);
    return aligned;
}

struct span *span_acquire_large(size_t units, size_t align, bool *zeroed) {
    size_t slack = align > UNIT ? (align >> UNIT_SHIFT) - 1 : 0;
    if (units + slack < units)
        return NULL;
    struct span *shelved = span_shelf_is_open() && slack == 0 ? span_shelf_take(units, zeroed) : NULL;
    if (shelved != NULL)
        return shelved;
    bool crowded = span_lock_for_large();
    struct span *span = span_run_take(units + slack, false);
    if (span != NULL) {
        if (slack > 0)
            span = trim_to_align(span, units, align);
        span->class = 0;
        atomic_store_explicit(&span->shelf, 0, memory_order_relaxed);
        span_set_state(span, SPAN_LARGE);
        *zeroed = span_dirty_count(span_region(span), span_index(span), units) == 0;
        span_run_use(span_region(span), span_index(span), units);
        span_totals.large += units;
        span_totals.large_count++;
    }
    lock_release(&page_heap.lock, LOCK_SPANS);
    if (UNLIKELY(crowded))
        span_shelf_grow();
    return span;
}

/* Takes the units behind a LARGE span, FREE ones or at the frontier. False, with nothing changed for the span, if others have
 * them. */
static bool grow_in_place(struct span *span, size_t units) {
    struct region *region = span_region(span);
    size_t first = span_index(span), end = first + span->units, more = units - span->units;
    struct span *after = &region->spans[end];
    size_t have = end < region->frontier && span_state_of(after) == SPAN_FREE ? after->units : 0, left = 0;
    bool at_top = end + have == region->frontier;
    if (have < more && !at_top)
        return false;
    if (have < more && !region_grow(region, more - have, &left))
        return false;
    if (left > 0) { /* the break was moved by others: the heap goes on behind their memory, and these units stay FREE */
        span_free_coalesce(region, end + have, left);
        return false;
    }
    if (have < more && end + have != region->frontier)
        return false;
    if (have > 0)
        span_free_remove(after);
    if (have > more)
        span_free_insert_counted(region, first + units, have - more, after->dirty - span_dirty_count(region, end, more));
    else if (have < more)
        region->frontier = first + units;
    span_run_use(region, end, more);
    return true;
}

bool span_try_resize(struct span *span, size_t units) {
    enum shelf_answer answer = span_shelf_has(span) ? span_shelf_resize(span, units) : SHELF_NOT;
    if (answer != SHELF_NOT)
        return answer == SHELF_DONE;
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    bool mine = span_claim_heap_locked(span, SPAN_HELD);
    size_t old = span->units;
    bool done = mine && (units <= old || (units <= UINT32_MAX && grow_in_place(span, units)));
    if (done && units != old) {
        span->units = (uint32_t)units;
        span_totals.large += units - old;
        if (units < old) {
            span_dirty_set(span_region(span), span_index(span) + units, old - units, true);
            span_free_coalesce(span_region(span), span_index(span) + units, old - units);
        }
    }
    if (mine)
        span_set_state(span, SPAN_LARGE);
    lock_release(&page_heap.lock, LOCK_SPANS);
    return done;
}

struct span *span_find(const void *p) {
    struct region *region = region_find(p);
    if (region == NULL)
        return NULL;
    struct span *span = span_of_unit(region, p);
    enum span_state state = span_state_of(span);
    if (state == SPAN_PART) {
        span = &region->spans[span->head];
        state = span_state_of(span);
    }
    return state == SPAN_SMALL || state == SPAN_LARGE ? span : NULL;
}

/* The last head at or before the unit: its span has the unit, or ends before it and what follows is a hole. */
static const struct span *head_before(const struct region *region, size_t unit) {
    while (unit > 0 && span_state_of(&region->spans[unit]) == SPAN_NONE)
        unit--;
    const struct span *span = &region->spans[unit];
    enum span_state state = span_state_of(span);
    return state == SPAN_TAIL || state == SPAN_PART ? &region->spans[span->head] : span;
}

READS_OTHERS static bool is_free_locked(const struct region *region, size_t unit) {
    if (unit >= region->frontier)
        return true;
    const struct span *span = head_before(region, unit);
    bool free = span->state == SPAN_FREE || span->state == SPAN_SHELVED || span->state == SPAN_CACHED ||
                (span->state == SPAN_HELD && !span->listed);
    return free && unit < (size_t)(span - region->spans) + span->units;
}

bool span_is_free(const void *p) {
    if ((uintptr_t)p % BLOCK_ALIGN != 0)
        return false;
    lock_acquire(&page_heap.lock, LOCK_SPANS);
    const struct region *region = region_find(p);
    bool free = region != NULL && is_free_locked(region, ((uintptr_t)p - region->base) >> UNIT_SHIFT);
    lock_release(&page_heap.lock, LOCK_SPANS);
    return free;
}
