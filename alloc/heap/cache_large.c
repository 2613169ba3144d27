/* SPDX-License-Identifier: MIT */
#include "heap/cache_large.h"

#include "kit/report.h"
#include "heap/span.h"
#include "heap/span_free.h"
#include "heap/transfer.h"

/* What all threads' together may have, shared out among them: that many units, or a part of what large blocks have. */
#define SHARED 64
#define SHARED_PART 64
#define NEARLY 4       /* a span serves for a block if it is at most by that part of it too large */
#define SCORE_MOST 32  /* blocks that kept ones have served, less others, from which on they are kept; not below 0 again */
#define ALL_SLOTS ((1u << LARGE_SLOTS) - 1)

/* ---- whether blocks are kept ------------------------------------------------------------------------------------- */

static bool serves(size_t has, size_t units) {
    return has >= units && has <= units + units / NEARLY;
}

static size_t most_units(void) {
    size_t all = max_size(SHARED, span_totals.large / SHARED_PART), threads = transfer_threads;
    return min_size(threads > 1 ? all / threads : all, KEPT_MOST);
}

/* A block was taken, and one of those that are kept has served for it, or would have. */
static void learn(struct large_slots *large, bool served) {
    if (served && large->score < SCORE_MOST && ++large->score == SCORE_MOST)
        large->keeps = true;
    if (!served && large->score > 0 && --large->score == 0 && large->keeps) {
        large->keeps = false;
        report_enter();
        large_flush(large);
        report_leave();
    }
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

static struct span *take(struct large_slots *large, size_t units) {
    if (large->units < units)
        return NULL;
    report_enter();
    int best = best_of(large, units);
    struct span *span = best >= 0 ? empty(large, best) : NULL;
    report_leave();
    return span;
}

struct span *large_take(struct large_slots *large, size_t units) {
    if (units > KEPT_MOST)
        return NULL;
    struct span *span = take(large, units);
    if (large->keeps || large->last_freed != 0)
        learn(large, large->keeps ? span != NULL : serves(large->last_freed, units));
    large->last_freed = 0;
    return span;
}

bool large_keep(struct large_slots *large, struct span *span) {
    size_t units = span->units;
    if (units > KEPT_MOST)
        return false;
    large->last_freed = (uint8_t)units;
    if (!large->keeps || large->units + units > most_units())
        return false;
    report_enter();
    int at = empty_of(large);
    bool kept = at >= 0 && span_claim(span, SPAN_CACHED);
    if (kept) {
        ORDERED();
        large->spans[at] = span;
        large->units += span->units; /* it cannot change any more */
        large->seen &= (uint8_t)~(1u << at);
    }
    report_leave();
    return kept;
}

bool large_is_kept(const void *p) {
    const struct region *region = region_find(p);
    return region != NULL && ((uintptr_t)p - region->base) % UNIT == 0 &&
           span_state_of(&region->spans[((uintptr_t)p - region->base) >> UNIT_SHIFT]) == SPAN_CACHED;
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
    return units == large->units && (large->keeps || units == 0);
}

void large_forked(struct large_slots *large) {
    for (int i = 0; i < LARGE_SLOTS; i++)
        if (large->spans[i] != NULL && span_state_of(large->spans[i]) == SPAN_CACHED)
            release(large, i);
}
