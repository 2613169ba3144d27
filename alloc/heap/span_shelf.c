/* SPDX-License-Identifier: MIT */
#include "heap/span_shelf.h"

#include "os/os.h"
#include "kit/tunables.h"
#include "heap/span_amount.h"
#include "heap/span_free.h"
#include "heap/span_run.h"

#define SHELVES_FIRST 2   /* shelves that there are at first */
#define QUIET_USES 1000   /* between two sweeps: that many calls need no shelves */
#define FREE_MOST 2       /* units that a shelf may have free where it is to take a tract more */

struct shelves shelves;
struct shelf shelves_all[SHELVES_MOST] BIG_TABLE;

static void set_shelf(struct span *span, size_t number) {
    atomic_store_explicit(&span->shelf, (uint16_t)number, memory_order_relaxed);
}

/* As spans say it. */
static size_t number_of(const struct shelf *shelf) {
    return (size_t)(shelf - shelves_all) + 1;
}

static struct span *span_at(const struct tract *tract, size_t at) {
    return &regions[tract->region].spans[tract->first + at];
}

static void set_run(const struct tract *tract, size_t at, size_t units) {
    struct span *span = span_at(tract, at);
    span->units = (uint32_t)units;
    span->region = tract->region;
    span_set_state(span, SPAN_SHELVED);
}

/* ---- a shelf ----------------------------------------------------------------------------------------------------- */

static _Atomic uint32_t processors; /* one more than the highest number that was met */

static uint32_t processor(void) {
    uint32_t number = os_processor();
    if (UNLIKELY(number >= atomic_load_explicit(&processors, memory_order_relaxed)))
        atomic_store_explicit(&processors, number + 1, memory_order_relaxed);
    return number;
}

/* True if there are to be more shelves, behind the call. */
static bool enter(struct shelf *shelf) {
    bool crowded = crowd_acquire(&shelf->lock, LOCK_SHELF, &shelf->crowded);
    shelf->uses++;
    return crowded;
}

static void leave(struct shelf *shelf) {
    lock_release(&shelf->lock, LOCK_SHELF);
}

static void leave_crowded(struct shelf *shelf, bool crowded) {
    leave(shelf);
    if (UNLIKELY(crowded))
        span_shelf_grow();
}

/* The first `units` of a run are free no more. */
static void use_units(struct shelf *shelf, struct tract *tract, size_t at, size_t units) {
    size_t end = run_end(tract->free, at);
    uint64_t bits = bit_range(at, units);
    span_set_state(span_at(tract, at), SPAN_NONE);
    if (end > at + units)
        set_run(tract, at + units, end - at - units);
    tract->free &= ~bits;
    tract->clean &= ~bits;
    tract->idle &= ~bits;
    shelf->units -= (uint32_t)units;
}

/* The first `units` of a run become a block. */
static struct span *cut(struct shelf *shelf, struct tract *tract, size_t at, size_t units, bool *zeroed) {
    uint64_t bits = bit_range(at, units);
    struct span *span = span_at(tract, at);
    *zeroed = (tract->clean & bits) == bits;
    use_units(shelf, tract, at, units);
    shelf->handed++;
    span->units = (uint32_t)units;
    span->class = 0;
    set_shelf(span, number_of(shelf));
    span_set_state(span, SPAN_LARGE);
    return span;
}

/* From the shortest run of all tracts that is long enough. */
static struct span *cut_best(struct shelf *shelf, size_t units, bool *zeroed) {
    struct tract *best = NULL;
    size_t best_at = 0, best_length = SIZE_MAX;
    for (struct tract *tract = shelf->tracts; tract < shelf->tracts + shelf->count && best_length > units; tract++)
        EACH_RUN(tract->free, at, length)
            if (length >= units && length < best_length) {
                best = tract;
                best_at = at;
                best_length = length;
            }
    return best != NULL ? cut(shelf, best, best_at, units, zeroed) : NULL;
}

/* Takes LOCK_SPANS; what was counted here goes into the totals. */
static bool lock_spans_and_settle(struct shelf *shelf) {
    bool crowded = span_lock_for_large();
    span_totals.large_count += shelf->handed;
    shelf->handed = 0;
    return crowded;
}

static bool may_have_more(const struct shelf *shelf) {
    return shelf->count < SHELF_TRACTS && shelf->units <= FREE_MOST;
}

/* Takes a tract from the page heap. */
static bool add_tract(struct shelf *shelf, bool *crowded) {
    *crowded |= lock_spans_and_settle(shelf);
    struct span *span = span_run_take(TRACT_UNITS, false);
    if (span != NULL) {
        struct tract *tract = &shelf->tracts[shelf->count++];
        struct region *region = span_region(span);
        size_t first = span_index(span);
        uint64_t clean = ~span_dirty_bits(region, first, TRACT_UNITS) & ALL_UNITS;
        *tract = (struct tract){ALL_UNITS, clean, 0, (uint32_t)first, span->region};
        span_run_use(region, first, TRACT_UNITS);
        set_run(tract, 0, TRACT_UNITS);
        shelf->units += TRACT_UNITS;
        span_totals.large += TRACT_UNITS;
    }
    lock_release(&page_heap.lock, LOCK_SPANS);
    return span != NULL;
}

READS_OTHERS static bool may_have(const struct shelf *shelf, size_t units) {
    return shelf->units >= units;
}

/* From a shelf that nobody else is at, of those that are one bit away. */
static struct span *cut_near(uint32_t index, uint32_t count, size_t units, bool *zeroed) {
    struct span *span = NULL;
    for (uint32_t bit = 1; bit < count && span == NULL; bit *= 2) {
        struct shelf *shelf = &shelves_all[index ^ bit];
        if (may_have(shelf, units) && lock_try_acquire(&shelf->lock, LOCK_SHELF)) {
            span = cut_best(shelf, units, zeroed);
            leave(shelf);
        }
    }
    return span;
}

/* From one shelf, with a tract more if it may have one. It may have been closed since it was looked for: then it has none, and
 * gets none. */
static struct span *cut_own(uint32_t index, size_t units, bool *zeroed) {
    struct shelf *shelf = &shelves_all[index];
    bool crowded = enter(shelf);
    struct span *span = cut_best(shelf, units, zeroed);
    bool open = index < atomic_load_explicit(&shelves.count, memory_order_relaxed);
    if (span == NULL && open && may_have_more(shelf) && add_tract(shelf, &crowded))
        span = cut_best(shelf, units, zeroed);
    leave_crowded(shelf, crowded);
    return span;
}

struct span *span_shelf_take(size_t units, bool *zeroed) {
    uint32_t count = atomic_load_explicit(&shelves.count, memory_order_acquire);
    if (count == 0 || units > SHELF_BLOCK_UNITS || tunables.decay_ms == 0)
        return NULL;
    uint32_t index = processor() & (count - 1);
    struct span *span = cut_own(index, units, zeroed);
    return span != NULL ? span : cut_near(index, count, units, zeroed);
}

/* ---- to the page heap -------------------------------------------------------------------------------------------- */

/* Free units of a tract become FREE. */
static void free_run_locked(const struct tract *tract, size_t at, size_t units) {
    struct region *region = &regions[tract->region];
    uint64_t dirty = bit_range(at, units) & ~tract->clean;
    EACH_RUN(dirty, first, count)
        span_dirty_set(region, tract->first + first, count, true);
    EACH_RUN(dirty & tract->idle, first, count)
        span_dirty_age(region, tract->first + first, count);
    span_set_state(span_at(tract, at), SPAN_NONE);
    span_totals.large -= units;
    span_free_coalesce(region, tract->first + at, units);
}

/* Makes a tract none. Caller holds LOCK_SPANS. */
static void dissolve_locked(struct shelf *shelf, struct tract *tract) {
    struct tract gone = *tract;
    *tract = shelf->tracts[--shelf->count];
    shelf->units -= (uint32_t)__builtin_popcountll(gone.free);
    for (size_t at = 0, units; at < TRACT_UNITS; at += units) {
        struct span *span = span_at(&gone, at);
        units = span->units;
        if ((gone.free >> at & 1) != 0)
            free_run_locked(&gone, at, units);
        else
            set_shelf(span, 0);
    }
}

/* ---- blocks come back -------------------------------------------------------------------------------------------- */

/* The shelf that a span lies on, locked; NULL if it lies on none. What is freed twice may be something else by now, whose shelf
 * says anything. */
static struct shelf *enter_of(struct span *span, bool *crowded) {
    uint32_t opened = atomic_load_explicit(&shelves.opened, memory_order_acquire);
    size_t number;
    while ((number = atomic_load_explicit(&span->shelf, memory_order_relaxed)) != 0 && number <= opened) {
        struct shelf *shelf = &shelves_all[number - 1];
        *crowded = enter(shelf);
        if (LIKELY(atomic_load_explicit(&span->shelf, memory_order_relaxed) == number))
            return shelf;
        leave(shelf);
    }
    return NULL;
}

/* The tract of a span that says that it lies here; *at is where. NULL if it has been freed and is something else by now. */
static struct tract *tract_of(struct shelf *shelf, const struct span *span, size_t *at) {
    size_t index = span_index(span);
    for (struct tract *tract = shelf->tracts; tract < shelf->tracts + shelf->count; tract++)
        if (tract->region == span->region && index - tract->first < TRACT_UNITS) {
            *at = index - tract->first;
            return tract;
        }
    return NULL;
}

/* A block of a tract that a call is about, in a state in which nobody else has it; its shelf is locked. */
struct visit {
    struct shelf *shelf;
    struct tract *tract;
    size_t at;
    bool crowded;
};

/* SHELF_DONE if there is such a visit now, with the span in `state`. */
static enum shelf_answer begin_visit(struct visit *visit, struct span *span, enum span_state state) {
    visit->shelf = enter_of(span, &visit->crowded);
    if (visit->shelf == NULL)
        return SHELF_NOT;
    visit->tract = tract_of(visit->shelf, span, &visit->at);
    if (visit->tract != NULL && span_claim(span, state))
        return SHELF_DONE;
    leave_crowded(visit->shelf, visit->crowded);
    return SHELF_REFUSED;
}

/* Units [at, at + units) of a tract are in use no more, and join what is free beside them. */
static void free_units(struct shelf *shelf, struct tract *tract, size_t at, size_t units) {
    size_t start = run_start(tract->free, at), end = run_end(tract->free, at + units);
    if (end > at + units)
        span_set_state(span_at(tract, at + units), SPAN_NONE);
    if (start < at)
        span_set_state(span_at(tract, at), SPAN_NONE);
    tract->free |= bit_range(at, units);
    shelf->units += (uint32_t)units;
    set_run(tract, start, end - start);
}

static struct tract *emptiest(struct shelf *shelf) {
    struct tract *best = shelf->tracts;
    for (struct tract *tract = best + 1; tract < shelf->tracts + shelf->count; tract++)
        if (__builtin_popcountll(tract->free) > __builtin_popcountll(best->free))
            best = tract;
    return best;
}

/* A tract that is free as a whole goes back if as much is free besides, and the emptiest one as soon as more is free than in
 * use: what the page heap has it can give to the OS, and to small spans. */
static void give_tract(struct shelf *shelf, const struct tract *tract, size_t *excess) {
    bool whole = tract->free == ALL_UNITS, much = shelf->units > shelf->count * TRACT_UNITS / 2;
    if (LIKELY(!whole && !much) || shelf->units < 2 * TRACT_UNITS)
        return;
    lock_spans_and_settle(shelf);
    dissolve_locked(shelf, emptiest(shelf));
    *excess = span_amount_take_excess_locked();
    lock_release(&page_heap.lock, LOCK_SPANS);
}

enum shelf_answer span_shelf_put(struct span *span, size_t *excess) {
    struct visit visit;
    enum shelf_answer answer = begin_visit(&visit, span, SPAN_SHELVED);
    if (answer != SHELF_DONE)
        return answer;
    free_units(visit.shelf, visit.tract, visit.at, span->units);
    visit.shelf->handed--;
    give_tract(visit.shelf, visit.tract, excess);
    leave_crowded(visit.shelf, visit.crowded);
    return SHELF_DONE;
}

static bool resize(struct shelf *shelf, struct tract *tract, size_t at, size_t units) {
    struct span *span = span_at(tract, at);
    size_t old = span->units;
    if (units > run_end(tract->free, at + old) - at)
        return false;
    if (units > old)
        use_units(shelf, tract, at + old, units - old);
    span->units = (uint32_t)units;
    if (units < old)
        free_units(shelf, tract, at + units, old - units);
    return true;
}

enum shelf_answer span_shelf_resize(struct span *span, size_t units) {
    struct visit visit;
    enum shelf_answer answer = begin_visit(&visit, span, SPAN_HELD);
    if (answer != SHELF_DONE)
        return answer;
    bool done = resize(visit.shelf, visit.tract, visit.at, units);
    span_set_state(span, SPAN_LARGE);
    leave_crowded(visit.shelf, visit.crowded);
    return done ? SHELF_DONE : SHELF_REFUSED;
}

/* ---- how many there are ------------------------------------------------------------------------------------------ */

void span_shelf_grow(void) {
    if (!lock_try_acquire(&shelves.growing, LOCK_SHELF))
        return;
    uint32_t count = atomic_load_explicit(&shelves.count, memory_order_relaxed);
    bool enough = count == SHELVES_MOST || (count > 0 && count >= processors);
    uint32_t more = enough ? count : (uint32_t)max_size(count * 2, SHELVES_FIRST);
    if (more > atomic_load_explicit(&shelves.opened, memory_order_relaxed))
        atomic_store_explicit(&shelves.opened, more, memory_order_release);
    atomic_store_explicit(&shelves.count, more, memory_order_release);
    lock_release(&shelves.growing, LOCK_SHELF);
}

/* Whoever gets the lock of a shelf after it was emptied sees that it is closed. */
void span_shelf_close(void) {
    atomic_store_explicit(&shelves.count, 0, memory_order_release);
    span_shelf_empty();
}

static void age(struct shelf *shelf) {
    lock_spans_and_settle(shelf);
    for (size_t i = shelf->count; i-- > 0;)
        if ((shelf->tracts[i].free & shelf->tracts[i].idle) != 0)
            dissolve_locked(shelf, &shelf->tracts[i]);
    lock_release(&page_heap.lock, LOCK_SPANS);
    for (size_t i = 0; i < shelf->count; i++)
        shelf->tracts[i].idle = shelf->tracts[i].free;
}

void span_shelf_age(void) {
    size_t uses = 0, count = atomic_load_explicit(&shelves.count, memory_order_relaxed);
    if (count == 0)
        return;
    for (struct shelf *shelf = shelves_all; shelf < shelves_all + shelves.opened; shelf++)
        if (lock_try_acquire(&shelf->lock, LOCK_SHELF)) {
            uses += shelf->uses;
            shelf->uses = 0;
            age(shelf);
            leave(shelf);
        } else {
            uses += QUIET_USES;
        }
    if (uses < QUIET_USES)
        span_shelf_close();
}

void span_shelf_empty(void) {
    for (struct shelf *shelf = shelves_all; shelf < shelves_all + shelves.opened; shelf++) {
        lock_acquire(&shelf->lock, LOCK_SHELF);
        lock_spans_and_settle(shelf);
        while (shelf->count > 0)
            dissolve_locked(shelf, &shelf->tracts[shelf->count - 1]);
        lock_release(&page_heap.lock, LOCK_SPANS);
        leave(shelf);
    }
}

/* ---- looking at them --------------------------------------------------------------------------------------------- */

static size_t runs_of(uint64_t bits) {
    return (size_t)__builtin_popcountll(bits & ~(bits << 1));
}

void span_shelf_count(struct shelf_totals *totals) {
    *totals = (struct shelf_totals){0};
    for (struct shelf *shelf = shelves_all; shelf < shelves_all + shelves.opened; shelf++) {
        lock_acquire(&shelf->lock, LOCK_SHELF);
        for (const struct tract *tract = shelf->tracts; tract < shelf->tracts + shelf->count; tract++) {
            totals->spans += runs_of(tract->free);
            totals->dirty += (size_t)__builtin_popcountll(tract->free & ~tract->clean);
        }
        totals->units += shelf->units;
        totals->handed += shelf->handed;
        leave(shelf);
    }
}

/* Whether the spans of a tract are what its bits say. Adds up the free units. */
static bool tract_is_right(const struct shelf *shelf, const struct tract *tract, size_t *units) {
    for (size_t at = 0, end; at < TRACT_UNITS; at = end) {
        const struct span *span = span_at(tract, at);
        bool free = (tract->free >> at & 1) != 0, block = span->state == SPAN_LARGE || span->state == SPAN_HELD;
        end = at + span->units;
        if (span->units == 0 || end > TRACT_UNITS || (tract->clean & ~tract->free) != 0 || (tract->idle & ~tract->free) != 0)
            return false;
        if (free ? span->state != SPAN_SHELVED || end != run_end(tract->free, at)
                 : !(block || span->state == SPAN_CACHED) || span->shelf != number_of(shelf) ||
                       (tract->free & bit_range(at, span->units)) != 0)
            return false;
        *units += free ? span->units : 0;
    }
    return true;
}

static bool is_right(const struct shelf *shelf) {
    size_t units = 0;
    if (shelf->count > SHELF_TRACTS)
        return false;
    for (size_t i = 0; i < shelf->count; i++)
        if (!tract_is_right(shelf, &shelf->tracts[i], &units))
            return false;
    return units == shelf->units;
}

void span_shelf_walk(struct walk *walk, const struct shelf_totals *found) {
    struct shelf_totals totals;
    for (const struct shelf *shelf = shelves_all; shelf < shelves_all + shelves.opened; shelf++)
        if (!report_walk(walk, is_right(shelf), "span S5", shelf))
            return;
    span_shelf_count(&totals);
    report_walk(walk, totals.spans == found->spans && totals.units == found->units && totals.handed == found->handed,
                "span S5", &shelves);
}

static struct lock *nth_lock(unsigned n) {
    return n < atomic_load_explicit(&shelves.opened, memory_order_relaxed) ? &shelves_all[n].lock : NULL;
}

/* Who closed them may not have come to empty them all, and does not live on in this child: nobody would look there for free
 * memory any more. */
void span_shelf_forked(void) {
    if (atomic_load_explicit(&shelves.count, memory_order_relaxed) == 0)
        span_shelf_empty();
}

const struct lock_set shelf_locks = {.rank = LOCK_SHELF, .lock = &shelves.growing, .further = nth_lock};
