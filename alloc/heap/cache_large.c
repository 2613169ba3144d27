/* SPDX-License-Identifier: MIT */
#include "heap/cache_large.h"

#include <stdatomic.h>

#include "base/sizeclass.h"
#include "kit/report.h"
#include "heap/span.h"
#include "heap/span_free.h"
#include "heap/transfer.h"

/* What all threads together may keep: a part of what large blocks have when a thread is granted its own, within bounds. */
#define SHARED_PART 64
#define SHARED_LEAST 64 /* units: 1 MiB */
#define SHARED_MOST 256
#define NEARLY 4       /* a span serves for a block if it is at most by that part of it too long */
#define SCORE_MOST 32  /* blocks that kept ones have served, less others, from which on they are kept; not below 0 again */
#define SCORE_REFUSED (SCORE_MOST / 2) /* where nothing was left to grant: it asks again after as many more */
#define ALL_SLOTS ((1u << LARGE_SLOTS) - 1)

static _Atomic size_t granted; /* units, to all threads */

/* ---- whether blocks are kept ------------------------------------------------------------------------------------- */

/* Units that a thread may keep from now on; 0 if so few are left that no block would fit. */
static size_t grant(void) {
    size_t all = min_size(max_size(span_totals.large / SHARED_PART, SHARED_LEAST), SHARED_MOST);
    size_t threads = max_size(transfer_threads, 1);
    size_t most = min_size(all / threads, KEPT_MOST), before = atomic_load_explicit(&granted, memory_order_relaxed);
    do {
        if (most << UNIT_SHIFT <= SMALL_MAX || before + most > all)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(&granted, &before, before + most, memory_order_relaxed,
                                                    memory_order_relaxed));
    return most;
}

static void begin(struct large_slots *large) {
    large->most = (uint8_t)grant();
    if (large->most == 0)
        large->score = SCORE_REFUSED;
}

/* A block was taken, and one that is as long is kept, or would be. */
static void learn(struct large_slots *large, bool served) {
    if (served && large->score < SCORE_MOST && ++large->score == SCORE_MOST && large->most == 0)
        begin(large);
    if (!served && large->score > 0 && --large->score == 0 && large->most > 0)
        large_end(large);
}

/* ---- a slot ------------------------------------------------------------------------------------------------------ */

/* Takes the span out of its slot; it is LARGE again. */
static struct span *empty(struct large_slots *large, int at) {
    struct span *span = large->spans[at];
    large->spans[at] = NULL;
    large->units -= span->units;
    ORDERED();
    span_set_state(span, SPAN_LARGE);
    return span;
}

static bool serves(size_t has, size_t units) {
    return has >= units && has <= units + units / NEARLY;
}

/* The slot of the shortest span that serves; -1 if none does. */
static int best_of(const struct large_slots *large, size_t units) {
    int best = -1;
    for (int i = 0; i < LARGE_SLOTS; i++) {
        const struct span *span = large->spans[i];
        if (span != NULL && serves(span->units, units) && (best < 0 || span->units < large->spans[best]->units))
            best = i;
    }
    return best;
}

static int empty_of(const struct large_slots *large) {
    for (int i = 0; i < LARGE_SLOTS; i++)
        if (large->spans[i] == NULL)
            return i;
    return -1;
}

static void release(struct large_slots *large, int at) {
    if (large->spans[at] != NULL)
        span_release_large(empty(large, at));
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* `has` units are kept and would serve, or 0; what is a little longer says nothing. */
static void learn_of(struct large_slots *large, size_t has, size_t units) {
    if (has <= units || !serves(has, units))
        learn(large, has == units);
}

static struct span *take(struct large_slots *large, size_t units) {
    int best = large->units >= units ? best_of(large, units) : -1;
    struct span *span = best >= 0 ? empty(large, best) : NULL;
    if (large->most > 0)
        learn_of(large, span != NULL ? span->units : 0, units);
    else if (large->last_freed != 0)
        learn_of(large, large->last_freed, units);
    large->last_freed = 0;
    return span;
}

struct span *large_take(struct large_slots *large, size_t units) {
    if (units > KEPT_MOST)
        return NULL;
    report_enter();
    struct span *span = take(large, units);
    report_leave();
    return span;
}

static bool keep(struct large_slots *large, struct span *span, size_t units) {
    large->last_freed = (uint8_t)units;
    int at = large->units + units <= large->most ? empty_of(large) : -1;
    if (at < 0 || !span_claim(span, SPAN_CACHED))
        return false;
    ORDERED();
    large->spans[at] = span;
    large->units += span->units; /* it cannot change any more */
    large->seen &= (uint8_t)~(1u << at);
    return true;
}

bool large_keep(struct large_slots *large, struct span *span) {
    size_t units = span->units;
    if (units > KEPT_MOST)
        return false;
    report_enter();
    bool kept = keep(large, span, units);
    report_leave();
    return kept;
}

bool large_is_kept(const void *p) {
    const struct region *region = region_find(p);
    return region != NULL && ((uintptr_t)p - region->base) % UNIT == 0 &&
           span_state_of(span_of_unit(region, p)) == SPAN_CACHED;
}

void large_look(struct large_slots *large) {
    for (int i = 0; i < LARGE_SLOTS; i++)
        if ((large->seen >> i & 1) != 0)
            release(large, i);
    large->seen = ALL_SLOTS;
}

void large_flush(struct large_slots *large) {
    for (int i = 0; i < LARGE_SLOTS; i++)
        release(large, i);
}

void large_end(struct large_slots *large) {
    large_flush(large);
    atomic_fetch_sub_explicit(&granted, large->most, memory_order_relaxed);
    large->most = 0;
}

/* ---- looking at them, and in a child ----------------------------------------------------------------------------- */

bool large_is_right(const struct large_slots *large) {
    size_t units = 0;
    for (int i = 0; i < LARGE_SLOTS; i++) {
        const struct span *span = large->spans[i];
        if (span != NULL && span_state_of(span) != SPAN_CACHED)
            return false;
        for (int before = 0; before < i && span != NULL; before++)
            if (large->spans[before] == span)
                return false;
        units += span != NULL ? span->units : 0;
    }
    return units == large->units && units <= large->most && large->most <= KEPT_MOST;
}

void large_forked(struct large_slots *large) {
    for (int i = 0; i < LARGE_SLOTS; i++)
        if (large->spans[i] != NULL && span_state_of(large->spans[i]) == SPAN_CACHED)
            release(large, i);
}

void large_forked_alone(size_t most) {
    atomic_store_explicit(&granted, most, memory_order_relaxed);
}
