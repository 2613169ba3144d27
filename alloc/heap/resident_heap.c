/* SPDX-License-Identifier: MIT */
#include "heap/resident_heap.h"

#include <stdatomic.h>

#include "kit/own.h"
#include "heap/central_class.h"
#include "heap/gathered.h"
#include "heap/home.h"
#include "heap/mapped.h"
#include "heap/span_free.h"
#include "heap/span_sweep.h"

#define MAPPED_BATCH 32

enum free_kind { FREE_HOLES, FREE_SPANS, FREE_AHEAD, FREE_KINDS };

struct look {
    struct resident_heap *out;
    struct os_pages *pages;
    struct gathered *gathered;
    struct region *region;
    size_t head; /* the unit of the last span that was found; all before have been seen */
    uintptr_t huge_number; /* of the huge page, or as much memory, that is being seen, by its address; */
    bool huge, used;       /* whether it is one, and partly in use; */
    size_t idle[FREE_KINDS]; /* what of it holds nothing */
};

/* Bytes that have memory in a range; those of them in huge pages are added to *huge. */
static size_t memory_in(struct os_pages *pages, const void *start, size_t bytes, size_t *huge) {
    struct os_pages_run run;
    size_t found = 0;
    os_pages_over(pages, start, bytes);
    while (os_pages_next(pages, &run)) {
        found += run.end - run.start;
        *huge += run.huge ? run.end - run.start : 0;
    }
    return found;
}

size_t resident_heap_in(struct os_pages *pages, const void *start, size_t bytes) {
    return memory_in(pages, start, bytes, &(size_t){0});
}

/* ---- huge pages -------------------------------------------------------------------------------------------------- */

/* What holds nothing in a huge page that is used in part is there because the kernel gives all of it or nothing. */
static void end_huge_page(struct look *look) {
    struct resident_heap *out = look->out;
    size_t *kinds[FREE_KINDS] = {&out->holes, &out->free, &out->ahead};
    for (size_t i = 0; i < FREE_KINDS; i++) {
        *(look->huge && look->used ? &out->huge_excess : kinds[i]) += look->idle[i];
        look->idle[i] = 0;
    }
    look->used = false;
}

static void begin_run(struct look *look, uintptr_t start, bool huge) {
    if (start / HUGE_PAGE != look->huge_number || huge != look->huge)
        end_huge_page(look);
    look->huge_number = start / HUGE_PAGE;
    look->huge = huge;
}

/* ---- pages of a unit --------------------------------------------------------------------------------------------- */

/* A page of a used span of small blocks; the lock of the class is held. */
static void see_small_page(struct look *look, const struct class *class, struct span *span, size_t page) {
    size_t first = span_index(span) * PAGES_A_UNIT;
    struct home_used used = home_used_of_page(span, class->size, page - first);
    size_t waiting = gathered_blocks(look->gathered, (unsigned)(look->region - regions), page);
    if (used.blocks == 0) {
        look->idle[FREE_HOLES] += OS_PAGE;
    } else {
        look->used = true;
        look->out->used[class->index] += used.bytes;
        look->out->beside += OS_PAGE - used.bytes;
    }
    if (used.blocks == waiting && (waiting > 0 || span->live < span->capacity)) /* a full span is not looked at (holes.c) */
        look->out->trim += OS_PAGE;
}

/* Pages [from, end) of one unit. A span that no class has is on its way to the free ones. */
static void see_small(struct look *look, struct span *span, size_t from, size_t end) {
    struct class *class = central_lock_if_has(class_of_span(span), span);
    if (class == NULL) {
        look->idle[FREE_SPANS] += (end - from) * OS_PAGE;
        return;
    }
    for (size_t page = from; page < end; page++)
        see_small_page(look, class, span, page);
    lock_release(&class->lock, LOCK_CLASS);
}

/* `bytes` of a unit in a FREE span, or behind the frontier, where the break goes down to it. */
READS_OTHERS static void see_free(struct look *look, size_t unit, size_t bytes, bool at_top) {
    bool dirty = unit < look->region->frontier && span_dirty_count(look->region, unit, 1) > 0;
    look->idle[dirty ? FREE_SPANS : FREE_AHEAD] += bytes;
    if (dirty || (at_top && look->region == &regions[0]))
        look->out->trim += bytes;
}

READS_OTHERS static size_t units_of_head(const struct span *span) {
    enum span_state state = span->state;
    bool head = state != SPAN_NONE && state != SPAN_TAIL && state != SPAN_PART;
    return head ? max_size(span->units, 1) : 1;
}

/* The span that the unit lies in, one of those that have not been seen. Where other threads change spans meanwhile it may be
 * another. */
READS_OTHERS static struct span *find_head(struct look *look, size_t unit) {
    for (;;) {
        struct span *span = &look->region->spans[look->head];
        size_t units = units_of_head(span);
        if (look->head + units > unit)
            return span;
        look->head += units;
    }
}

/* Pages [from, end), all in one unit. */
READS_OTHERS static void see_unit(struct look *look, size_t from, size_t end) {
    size_t unit = from / PAGES_A_UNIT, bytes = (end - from) * OS_PAGE;
    if (unit >= look->region->frontier) {
        see_free(look, unit, bytes, true);
        return;
    }
    struct span *span = find_head(look, unit);
    if (span->state == SPAN_SMALL) {
        see_small(look, span, from, end);
    } else if (span->state == SPAN_LARGE || (span->state == SPAN_HELD && span->listed)) {
        look->out->large += bytes;
        look->used = true;
    } else if (span->state == SPAN_CACHED) {
        look->out->cached += bytes;
        look->used = true;
    } else if (span->state == SPAN_SHELVED) {
        look->idle[FREE_SPANS] += bytes;
        look->out->trim += bytes;
    } else if (span->state == SPAN_FREE || span->state == SPAN_HELD) {
        see_free(look, unit, bytes, look->head + span->units >= look->region->frontier);
    } else { /* of another caller of sbrk */
        look->out->total -= bytes;
    }
}

/* ---- regions ----------------------------------------------------------------------------------------------------- */

static void see_run(struct look *look, const struct os_pages_run *run) {
    size_t page = (run->start - look->region->base) / OS_PAGE, last = (run->end - look->region->base) / OS_PAGE;
    look->out->total += run->end - run->start;
    look->out->huge += run->huge ? run->end - run->start : 0;
    for (size_t end; page < last; page = end) {
        begin_run(look, look->region->base + page * OS_PAGE, run->huge);
        end = min_size(align_down(page, PAGES_A_UNIT) + PAGES_A_UNIT, last);
        see_unit(look, page, end);
    }
}

/* Whether all blocks of the span that is met there will be at home when what is gathered has come. */
static bool goes_whole(const struct look *look, struct span *span) {
    struct class *class = central_lock_if_has(class_of_span(span), span);
    if (class == NULL)
        return false;
    size_t first = span_index(span) * PAGES_A_UNIT, page = 0, pages = span->units * PAGES_A_UNIT;
    while (page < pages && home_used_of_page(span, class->size, page).blocks ==
                               gathered_blocks(look->gathered, (unsigned)(look->region - regions), first + page))
        page++;
    lock_release(&class->lock, LOCK_CLASS);
    return page == pages;
}

static void see_unused(void *start, size_t bytes, void *data) {
    struct look *look = data;
    look->out->trim += resident_heap_in(look->pages, start, bytes);
}

/* What the allocator keeps for units [first, end), which will be free, and lets go of when they are given back, by pieces. */
static void see_own_of_free(struct look *look, size_t first, size_t end) {
    for (size_t from = first, to; from < end; from = to) {
        to = min_size(from + PIECE_UNITS, end);
        span_each_unused(look->region, from, to, see_unused, look);
    }
}

READS_OTHERS static void see_own(struct look *look) {
    size_t first = 0, at = 0;
    for (size_t units; at < look->region->frontier; at += units) {
        struct span *span = &look->region->spans[at];
        units = units_of_head(span);
        if (span->state == SPAN_FREE || span->state == SPAN_SHELVED || (span->state == SPAN_SMALL && goes_whole(look, span)))
            continue;
        see_own_of_free(look, first, at);
        first = at + units;
    }
    see_own_of_free(look, first, at);
}

static void see_region(struct look *look, struct region *region) {
    struct os_pages_run run;
    look->region = region;
    look->head = 0;
    os_pages_over(look->pages, (const void *)region->base, region->mapped << UNIT_SHIFT);
    while (os_pages_next(look->pages, &run))
        see_run(look, &run);
    end_huge_page(look);
    see_own(look);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void see_mapped(struct look *look) {
    struct mapped_range ranges[MAPPED_BATCH];
    size_t cursor = 0, count;
    while ((count = mapped_list(&cursor, ranges, MAPPED_BATCH)) > 0)
        for (size_t i = 0; i < count; i++) {
            size_t bytes = memory_in(look->pages, ranges[i].start, ranges[i].bytes, &look->out->huge);
            look->out->total += bytes;
            *(ranges[i].is_kept ? &look->out->kept : &look->out->mapped) += bytes;
        }
}

static void see_own_range(const void *start, size_t bytes, void *data) {
    struct look *look = data;
    look->out->own += resident_heap_in(look->pages, start, bytes);
}

void resident_heap_count(struct resident_heap *resident, struct os_pages *pages) {
    *resident = (struct resident_heap){0};
    struct look look = {.out = resident, .pages = pages, .gathered = gathered_count()};
    resident->trim_is_least = look.gathered == NULL;
    for (unsigned i = 0; i < region_count; i++)
        if (regions[i].spans != NULL)
            see_region(&look, &regions[i]);
    see_mapped(&look);
    gathered_drop(look.gathered);
    own_each(see_own_range, &look);
    region_each_own(see_own_range, &look);
}
