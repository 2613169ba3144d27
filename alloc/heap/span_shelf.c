/* SPDX-License-Identifier: MIT */
#include "heap/span_shelf.h"

#include "kit/tunables.h"
#include "heap/span_amount.h"
#include "heap/span_free.h"

#define SHELVES_FIRST 2           /* shelves that there are at first */
#define SHELF_LEAST (256 * KIB / UNIT) /* what a shelf may have in any case */
#define QUIET_USES 1000           /* between two sweeps: that many calls need no shelves */

struct shelves shelves;
struct shelf shelves_all[SHELVES_MOST] BIG_TABLE;

static struct span *span_of(const struct shelved *lying) {
    return &regions[lying->region].spans[lying->first];
}

static void set_state(struct span *span, enum span_state state) {
    __atomic_store_n(&span->state, (uint8_t)state, __ATOMIC_RELEASE);
}

/* ---- a shelf ----------------------------------------------------------------------------------------------------- */

static _Atomic uint32_t threads; /* that have come here */

/* In the order in which threads come here, from 1 on, so that those that work together have different shelves. */
static uint32_t number_of_thread(void) {
    static THREAD_LOCAL uint8_t number;
    if (UNLIKELY(number == 0))
        number = (uint8_t)(atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % SHELVES_MOST + 1);
    return number;
}

/* This thread's shelf, locked. NULL if others have it. It may have been closed meanwhile: then nothing may be put there. */
static struct shelf *try_shelf(void) {
    uint32_t count = atomic_load_explicit(&shelves.count, memory_order_acquire);
    if (count == 0)
        return NULL;
    uint32_t index = number_of_thread() & (count - 1);
    struct shelf *shelf = &shelves_all[index];
    if (!lock_try_acquire(&shelf->lock, LOCK_SHELF))
        return NULL;
    if (LIKELY(index < atomic_load_explicit(&shelves.count, memory_order_relaxed))) {
        shelf->uses++;
        return shelf;
    }
    lock_release(&shelf->lock, LOCK_SHELF);
    return NULL;
}

static void leave(struct shelf *shelf) {
    lock_release(&shelf->lock, LOCK_SHELF);
}

static void drop_locked(struct shelf *shelf, size_t at) {
    shelf->units -= shelf->lying[at].units;
    shelf->lying[at] = shelf->lying[--shelf->count];
}

static void lay_locked(struct shelf *shelf, const struct shelved *what) {
    struct span *span = span_of(what);
    span->units = what->units;
    span->region = what->region;
    set_state(span, SPAN_SHELVED);
    shelf->lying[shelf->count++] = *what;
    shelf->units += what->units;
}

/* The smallest that is large enough; `count` if there is none. */
static size_t best_fit(const struct shelf *shelf, size_t units) {
    size_t best = shelf->count;
    for (size_t i = 0; i < shelf->count; i++)
        if (shelf->lying[i].units >= units && (best == shelf->count || shelf->lying[i].units < shelf->lying[best].units))
            best = i;
    return best;
}

/* The first `units` of what lies there. */
static struct span *cut_locked(struct shelf *shelf, size_t at, size_t units) {
    struct shelved rest = shelf->lying[at];
    struct span *span = span_of(&rest);
    drop_locked(shelf, at);
    rest.first += (uint32_t)units;
    rest.units = (uint16_t)(rest.units - units);
    if (rest.units > 0)
        lay_locked(shelf, &rest);
    span->units = (uint32_t)units;
    span->class = 0;
    shelf->handed++;
    set_state(span, SPAN_LARGE);
    return span;
}

/* Takes what touches a span off the shelf, and adds it to that. */
static void join_locked(struct shelf *shelf, struct shelved *what) {
    for (size_t i = 0; i < shelf->count;) {
        struct shelved other = shelf->lying[i];
        bool before = other.region == what->region && other.first + other.units == what->first;
        bool behind = other.region == what->region && what->first + what->units == other.first;
        if (!before && !behind) {
            i++;
            continue;
        }
        set_state(span_of(before ? what : &other), SPAN_NONE);
        what->first = before ? other.first : what->first;
        what->units = (uint16_t)(what->units + other.units);
        drop_locked(shelf, i);
    }
}

/* ---- to the page heap -------------------------------------------------------------------------------------------- */

/* Takes LOCK_SPANS; what was counted here goes into the totals. */
static bool lock_spans_and_settle(struct shelf *shelf) {
    bool crowded = span_lock_for_large();
    span_totals.large_count += shelf->handed;
    shelf->handed = 0;
    return crowded;
}

static void free_nth_locked(struct shelf *shelf, size_t at, bool old) {
    struct shelved gone = shelf->lying[at];
    struct region *region = &regions[gone.region];
    drop_locked(shelf, at);
    span_totals.large -= gone.units;
    span_dirty_set(region, gone.first, gone.units, true);
    if (old)
        span_dirty_age(region, gone.first, gone.units);
    set_state(span_of(&gone), SPAN_NONE);
    span_free_coalesce(region, gone.first, gone.units);
}

static void free_all_locked(struct shelf *shelf) {
    while (shelf->count > 0)
        free_nth_locked(shelf, shelf->count - 1, false);
}

struct span *span_shelf_take_or_lock(size_t units, bool *crowded) {
    struct shelf *shelf = units <= SHELF_UNITS ? try_shelf() : NULL;
    size_t at = shelf != NULL ? best_fit(shelf, units) : 0;
    struct span *span = NULL;
    if (shelf != NULL && at < shelf->count) {
        span = cut_locked(shelf, at, units);
    } else if (shelf != NULL) {
        *crowded = lock_spans_and_settle(shelf);
        free_all_locked(shelf);
    } else {
        *crowded = span_lock_for_large();
    }
    if (shelf != NULL)
        leave(shelf);
    return span;
}

static size_t smallest(const struct shelf *shelf) {
    size_t best = 0;
    for (size_t i = 1; i < shelf->count; i++)
        if (shelf->lying[i].units < shelf->lying[best].units)
            best = i;
    return best;
}

/* Gives the page heap the smallest of what lies there, until half of the places and of the room are free, or one is left. The
 * large ones can be cut, and what is given back joins what it was cut from. Returns span_amount_take_excess_locked. */
static size_t spill(struct shelf *shelf, size_t room) {
    lock_spans_and_settle(shelf);
    while (shelf->count > 1 && (shelf->count > SHELF_PLACES / 2 || shelf->units > room / 2))
        free_nth_locked(shelf, smallest(shelf), false);
    if (shelf->units > room)
        free_all_locked(shelf);
    size_t excess = span_amount_take_excess_locked();
    lock_release(&page_heap.lock, LOCK_SPANS);
    return excess;
}

bool span_shelf_try_put(struct span *span, size_t *excess) {
    uint32_t room = atomic_load_explicit(&shelves.room, memory_order_relaxed);
    struct shelf *shelf = span->units <= room && tunables.decay_ms > 0 ? try_shelf() : NULL;
    bool done = shelf != NULL && span_claim(span, SPAN_SHELVED);
    if (done) {
        struct shelved what = {(uint32_t)span_index(span), (uint16_t)span->units, span->region, false};
        join_locked(shelf, &what);
        lay_locked(shelf, &what);
        shelf->handed--;
        if (shelf->units > room || shelf->count == SHELF_PLACES)
            *excess = spill(shelf, room);
    }
    if (shelf != NULL)
        leave(shelf);
    return done;
}

/* ---- how many there are ------------------------------------------------------------------------------------------ */

READS_OTHERS static void set_room(uint32_t count) {
    size_t share = max_size(span_totals.large / count, SHELF_LEAST);
    atomic_store_explicit(&shelves.room, (uint32_t)min_size(share, SHELF_UNITS), memory_order_relaxed);
}

void span_shelf_grow(void) {
    if (!lock_try_acquire(&shelves.growing, LOCK_SHELF))
        return;
    uint32_t count = atomic_load_explicit(&shelves.count, memory_order_relaxed);
    bool enough = count == SHELVES_MOST || (count > 0 && count >= threads);
    uint32_t more = enough ? count : (uint32_t)max_size(count * 2, SHELVES_FIRST);
    set_room(more);
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
        if (shelf->lying[i].old)
            free_nth_locked(shelf, i, true);
    lock_release(&page_heap.lock, LOCK_SPANS);
    for (size_t i = 0; i < shelf->count; i++)
        shelf->lying[i].old = true;
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
        free_all_locked(shelf);
        lock_release(&page_heap.lock, LOCK_SPANS);
        leave(shelf);
    }
}

/* ---- looking at them --------------------------------------------------------------------------------------------- */

void span_shelf_count(struct shelf_totals *totals) {
    *totals = (struct shelf_totals){0};
    for (struct shelf *shelf = shelves_all; shelf < shelves_all + shelves.opened; shelf++) {
        lock_acquire(&shelf->lock, LOCK_SHELF);
        totals->spans += shelf->count;
        totals->units += shelf->units;
        totals->handed += shelf->handed;
        leave(shelf);
    }
}

static bool is_right(const struct shelf *shelf) {
    size_t units = 0;
    for (size_t i = 0; i < shelf->count; i++) {
        const struct shelved *lying = &shelf->lying[i];
        const struct span *span = span_of(lying);
        if (span->state != SPAN_SHELVED || span->units != lying->units)
            return false;
        for (size_t k = 0; k < shelf->count; k++)
            if (shelf->lying[k].region == lying->region && shelf->lying[k].first == lying->first + lying->units)
                return false;
        units += lying->units;
    }
    return units == shelf->units && units <= SHELF_UNITS;
}

void span_shelf_walk(struct walk *walk, const struct shelf_totals *found) {
    struct shelf_totals totals;
    for (const struct shelf *shelf = shelves_all; shelf < shelves_all + shelves.opened; shelf++)
        if (!report_walk(walk, shelf->count < SHELF_PLACES && is_right(shelf), "span S5", shelf))
            return;
    span_shelf_count(&totals);
    report_walk(walk, totals.spans == found->spans && totals.units == found->units && totals.handed == found->handed,
                "span S5", &shelves);
}

static struct lock *nth_lock(unsigned n) {
    return n < atomic_load_explicit(&shelves.opened, memory_order_relaxed) ? &shelves_all[n].lock : NULL;
}

const struct lock_set shelf_locks = {.rank = LOCK_SHELF, .lock = &shelves.growing, .further = nth_lock};
