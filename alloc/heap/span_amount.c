/* SPDX-License-Identifier: MIT */
#include "heap/span_amount.h"

#include "os/os.h"
#include "kit/tunables.h"
#include "heap/span_free.h"

#define STAYS_PART 4         /* of the memory in use: a quarter, */
/* ... but so much in any case: with 4 MiB the loads `trees`, `lifo` and `fifo`, of 28 to 36 MB, had 1.7 times the faults. */
#define STAYS_LEAST (32 * MIB / UNIT)
#define EXCESS_PART 8        /* of what may stay: less is not worth a call */
/* Of a heap that was as large as that and was emptied, no more stays than this: who fills it again pays for a quarter more. */
#define LARGE (4 * STAYS_LEAST)
#define STAYS_EMPTIED (1 * MIB / UNIT)
#define WANTED_MS 1000
#define EMPTIED_PART 8       /* of dirty free memory: no more is in use of a heap that was emptied */
#define CREDIT_MS 1          /* 4 pages of 1.2 us each ms: 0.5 % */
#define CREDIT_MOST ((size_t)(4 * GIB / UNIT)) /* what can be saved */

static size_t learned;    /* units that were wanted back */
static size_t given;      /* units that were given back at frees, and not wanted since */
static uint64_t given_at; /* when the last of them were given, or wanted back, ms */
static size_t going;      /* units that threads are about to give back */
static size_t unearned;   /* units that were given back beyond the credit, as the heap was emptied */
static size_t tallest;    /* units that the heap had, as far as was seen here */
static size_t credit;     /* units that may still be given back */
static uint64_t credit_at; /* when that was so, ms; 0: not asked yet */

/* At first there is as much as for the processor time that the process has had. */
static size_t credit_now(void) {
    uint64_t now = os_clock_ms();
    if (now != credit_at) {
        uint64_t ms = credit_at != 0 ? now - credit_at : os_process_ms();
        credit = min_size(credit + ms * CREDIT_MS, CREDIT_MOST);
        credit_at = now;
    }
    return credit;
}

/* How many units may be given back now. What goes at the top leaves the heap, so its size is that of the largest it was. */
static size_t may_go(bool emptied) {
    size_t may = credit_now() + (emptied ? tallest - min_size(unearned, tallest) : 0);
    return may - min_size(going, may);
}

/* Units that may go now; 0 if that is not worth a call. What other threads are about to give does not go twice. */
static size_t excess(void) {
    size_t dirty = span_totals.free_dirty - min_size(going, span_totals.free_dirty);
    if (LIKELY(dirty <= (tallest < LARGE ? STAYS_LEAST : STAYS_EMPTIED)))
        return 0;
    if (tunables_trim_never())
        return 0;
    size_t used = span_totals.small + span_totals.large;
    tallest = max_size(tallest, used + span_totals.free);
    bool emptied = used <= dirty / EMPTIED_PART;
    size_t least = emptied && tallest >= LARGE ? STAYS_EMPTIED : STAYS_LEAST;
    size_t stays = max_size(least, used / STAYS_PART) + learned, step = max_size(stays / EXCESS_PART, STAYS_EMPTIED);
    if (dirty <= stays + step)
        return 0;
    size_t units = min_size(dirty - stays, may_go(emptied));
    return units >= step ? units : 0;
}

size_t span_amount_take_excess_locked(void) {
    size_t units = excess();
    going += units;
    return units;
}

void span_amount_given_locked(size_t taken, size_t units) {
    going -= min_size(taken, going);
    given += units;
    unearned += units - min_size(credit, units);
    credit -= min_size(credit, units);
    given_at = os_clock_ms();
}

/* Only clean units are wanted back: those that were given, or others instead of them. */
void span_amount_wanted_locked(const struct region *region, size_t first, size_t units) {
    if (LIKELY(given == 0))
        return;
    size_t clean = units - span_dirty_count(region, first, units);
    uint64_t now = os_clock_ms();
    if (now - given_at > WANTED_MS)
        given = 0;
    size_t wanted = min_size(clean, given);
    if (wanted == 0)
        return;
    given -= wanted;
    learned += wanted;
    given_at = now;
}

void span_amount_forked(void) {
    going = 0;
}

void span_amount_forget_locked(size_t units) {
    learned -= min_size(learned, units);
}
