/* SPDX-License-Identifier: MIT */
#include "heap/collapse.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/tunables.h"
#include "heap/decay.h"
#include "heap/huge.h"
#include "heap/mapped.h"
#include "heap/region.h"

#define FEW_PAGES (HUGE_PAGE / OS_PAGE / 64) /* of a range, that may have no memory: 1.6 % */
#define CANDIDATES 64       /* that wait for being old at a time: 128 MiB */
#define STEP_MS 10          /* half a ms of the kernel's each: 5 % of one processor at the most */
#define STEP_LOOKS 8        /* at the pages of ranges: 20 us each */
#define STEP_SPANS 8192     /* that are looked at for candidates: 128 MiB of heap and more */
#define STEP_MAPPINGS 256   /* the same of the table of mappings, whose lock is taken for each */
#define SLOW_US 1000        /* of processor time: twice what a range takes as a rule */
#define REST_LEAST_MS 1000  /* between two passes over all memory, and after a refusal; twice as long each time nothing comes */
#define REST_MOST_MS 64000  /* of it, up to this */

/* A range that was full, and what it lay in. */
struct candidate {
    uintptr_t start;
    uintptr_t owner; /* where its first span begins, or its mapping */
    uint64_t sign;   /* of its spans, or the bytes of its mapping */
    bool is_mapped;
};

/* All but `made` is of the helper alone. In a forked child it is as its parent's was, maybe in the middle of a step: what
 * candidates were is looked at again anyway, and a place in the middle of a span is nothing full. */
static struct {
    uint64_t due_at;          /* ms */
    _Atomic size_t made;
    struct candidate found[CANDIDATES];
    size_t count, next;       /* of them, and which is to be looked at again next */
    unsigned region;          /* where the pass goes on; region_count: in mappings */
    size_t unit, mapping;     /* with which span of the region, or mapping, */
    uintptr_t range;          /* and from which address of it */
    bool goes_on;             /* the pass has not seen all; candidates that there are belong to it in any case */
    bool made_any;            /* in this pass */
    uint64_t rest_ms;         /* after this pass */
    uint64_t back_off_ms;     /* after the next refusal */
    size_t least_pages;       /* that must have memory */
} look BIG_TABLE;

/* ---- what is full ------------------------------------------------------------------------------------------------ */

/* Whether a span that begins at the unit is in use and has had no holes; *units is its length. A guess, made without locks. */
READS_OTHERS static bool is_full_span(const struct region *region, size_t unit, size_t *units) {
    const struct span *span = &region->spans[unit];
    unsigned pages = 0;
    *units = max_size(min_size(span->units, region->frontier - unit), 1);
    if (span->state == SPAN_LARGE)
        return true;
    if (span->state != SPAN_SMALL && span->state != SPAN_FREE)
        *units = 1; /* foreign memory, say, whose structures say nothing */
    for (size_t i = 0; i < *units && span->state == SPAN_SMALL; i++)
        pages |= span[i].returned_pages;
    return span->state == SPAN_SMALL && pages == 0;
}

/* Stands for the spans that begin in [first, end), which must be full: 0 if one is not. */
READS_OTHERS static uint64_t sign_of(const struct region *region, size_t first, size_t end) {
    uint64_t sign = 1;
    for (size_t at = first, units; at < end; at += units) {
        if (!is_full_span(region, at, &units))
            return 0;
        sign = (sign ^ (at << 16) ^ (units << 8) ^ region->spans[at].class) * 0x9E3779B97F4A7C15u;
    }
    return sign | 1;
}

static bool is_as_before(const struct candidate *candidate) {
    if (candidate->is_mapped)
        return mapped_bytes((const void *)candidate->owner) == candidate->sign;
    const struct region *region = region_find((const void *)candidate->start);
    if (region == NULL) /* in a forked child, of a candidate that was half written */
        return false;
    size_t first = (candidate->owner - region->base) >> UNIT_SHIFT;
    size_t end = (candidate->start + HUGE_PAGE - region->base) >> UNIT_SHIFT;
    return end <= region->frontier && sign_of(region, first, end) == candidate->sign;
}

/* Whether nearly all pages have memory, of this process alone, and they are no huge page yet. */
static bool is_worth_it(const struct candidate *candidate) {
    struct os_pages pages;
    struct os_pages_run run;
    os_pages_open(&pages);
    bool worth = os_pages_alone(&pages, (const void *)candidate->start, HUGE_PAGE) >= look.least_pages;
    os_pages_over(&pages, (const void *)candidate->start, HUGE_PAGE);
    worth = worth && !(os_pages_next(&pages, &run) && run.huge);
    os_pages_close(&pages);
    return worth;
}

/* ---- candidates -------------------------------------------------------------------------------------------------- */

static bool has_room(void) {
    return look.count < CANDIDATES;
}

static uintptr_t address_of(const struct region *region, size_t unit) {
    return region->base + (unit << UNIT_SHIFT);
}

static void add_range_of_spans(const struct region *region, size_t owner) {
    size_t end = (look.range + HUGE_PAGE - region->base) >> UNIT_SHIFT;
    struct candidate found = {look.range, address_of(region, owner), sign_of(region, owner, end), false};
    if (found.sign != 0)
        look.found[look.count++] = found;
}

/* Goes over spans of the region from look.unit on. Of the range at look.range all is full up to unit `at`, and `owner` is the
 * last span that begins no later than it. True at the region's end. */
READS_OTHERS static bool gather_spans(const struct region *region) {
    size_t owner = look.unit, at = owner, units;
    look.range = max_size(look.range, align_up(address_of(region, at), HUGE_PAGE));
    for (size_t seen = 0; at < region->frontier && seen < STEP_SPANS && has_room(); at += units, seen++) {
        bool full = is_full_span(region, at, &units);
        uintptr_t end = address_of(region, at + units);
        if (!full || address_of(region, at) <= look.range)
            owner = full ? at : at + units;
        if (!full)
            look.range = max_size(look.range, align_up(end, HUGE_PAGE));
        for (; full && has_room() && look.range + HUGE_PAGE <= end; look.range += HUGE_PAGE, owner = at)
            add_range_of_spans(region, owner);
    }
    look.unit = owner;
    return at >= region->frontier;
}

/* Goes over mappings from look.mapping on. True at the end of the table. */
static bool gather_mappings(void) {
    struct mapped_range range;
    for (size_t seen = 0, next = look.mapping; seen < STEP_MAPPINGS && has_room(); seen++) {
        if (mapped_list(&next, &range, 1) == 0)
            return true;
        uintptr_t start = (uintptr_t)range.start, end = start + range.bytes;
        look.range = look.range >= start && look.range < end ? look.range : align_up(start, HUGE_PAGE);
        for (; !range.is_kept && has_room() && look.range + HUGE_PAGE <= end; look.range += HUGE_PAGE)
            look.found[look.count++] = (struct candidate){look.range, start, range.bytes, true};
        if (has_room())
            look.mapping = next;
    }
    return false;
}

static void gather(void) {
    look.count = look.next = 0;
    if (look.region == region_count) {
        look.goes_on = !gather_mappings();
    } else if (gather_spans(&regions[look.region]) && has_room()) {
        look.region++;
        look.unit = look.range = 0;
    }
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* How many pages of a range must have memory. */
static size_t least_pages(void) {
    char text[32];
    size_t most, length = os_read_file("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", text, sizeof text);
    if (scan_number(text, length, 10, &most) == 0)
        most = FEW_PAGES;
    return HUGE_PAGE / OS_PAGE - min_size(most, FEW_PAGES);
}

static uint64_t longer(uint64_t ms) {
    return max_size(min_size(ms * 2, REST_MOST_MS), REST_LEAST_MS);
}

static void begin_pass(void) {
    look.rest_ms = look.made_any ? REST_LEAST_MS : longer(look.rest_ms);
    look.made_any = false;
    look.region = 0;
    look.unit = look.mapping = look.range = 0;
    look.least_pages = least_pages();
    look.goes_on = huge_allowed();
}

/* Asks for one. Refusals that say nothing of other ranges are none here: EINVAL where holes went back or the program has done
 * something to the memory, EAGAIN where a page is in use by the kernel. */
static bool make(const struct candidate *candidate) {
    uint64_t before = os_thread_us();
    int error = os_collapse((void *)candidate->start, HUGE_PAGE);
    bool quick = os_thread_us() - before <= SLOW_US;
    if (error == 0) {
        atomic_fetch_add_explicit(&look.made, 1, memory_order_relaxed);
        atomic_store_explicit(&huge_were_given, true, memory_order_relaxed);
        look.made_any = true;
    }
    return quick && (error == 0 || error == EINVAL || error == EAGAIN);
}

/* Looks at candidates again until one was asked for. Returns in how many ms to go on. */
static uint64_t try_candidates(void) {
    for (size_t looks = 0; look.next < look.count && looks < STEP_LOOKS;) {
        const struct candidate *candidate = &look.found[look.next++];
        if (!is_as_before(candidate))
            continue;
        looks++;
        if (!is_worth_it(candidate))
            continue;
        bool good = make(candidate);
        look.back_off_ms = good ? look.back_off_ms / 2 : longer(look.back_off_ms);
        return good ? STEP_MS : look.back_off_ms;
    }
    return STEP_MS;
}

static uint64_t step(void) {
    if (look.next < look.count)
        return try_candidates();
    if (!look.goes_on) {
        begin_pass();
        return look.rest_ms;
    }
    gather();
    return look.count > 0 ? decay_period_ms() : STEP_MS;
}

READS_OTHERS static bool heap_is_large(void) {
    size_t spans = (span_totals.free + span_totals.small + span_totals.large) << UNIT_SHIFT;
    return spans + mapped_totals.bytes >= HUGE_FROM;
}

uint64_t collapse_due(void) {
    bool may_be = tunables.hugepages != CHOICE_OFF && heap_is_large() && !os_is_shut_in();
    return may_be ? look.due_at : UINT64_MAX;
}

void collapse_look(uint64_t now) {
    if (now >= collapse_due())
        look.due_at = now + step();
}

size_t collapse_count(void) {
    return atomic_load_explicit(&look.made, memory_order_relaxed);
}
