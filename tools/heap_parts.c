/* SPDX-License-Identifier: MIT */
#include "heap_parts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "heap/home.h"
#include "heap/slab.h"

#include "memory.h"
#include "target_pages.h"

enum { FREE_HOLES, FREE_SPANS, FREE_AHEAD, FREE_KINDS };
enum { HUGE_PAGE_BYTES = 2 << 20, HOME_UNITS = 64 };

struct look {
    struct heap_view *view;
    struct heap_parts *parts;
    struct areas areas;
    struct target_pages pages;
    int error;
    struct runs ours; /* what has memory and is the allocator's */
    struct runs runs; /* of the region */
    size_t run;       /* the first of them that is not behind */
    const struct region *region;
    uint64_t huge_number;    /* of the huge page, or as much memory, that is being seen, by its address; */
    bool is_huge, is_used;   /* whether it is one, and partly in use; */
    uint64_t idle[FREE_KINDS]; /* what of it holds nothing */
};

/* A span that is being seen. */
struct seen {
    struct span span;
    size_t unit; /* its first */
    bool is_slab, is_top; /* is_top: the break, or the region's end, lies behind it */
    uint64_t home[HOME_WORDS * HOME_UNITS];
};

/* The runs in [start, end), into `runs`. */
static void find_runs(struct look *look, uint64_t start, uint64_t end)
{
    int error;

    look->run = look->runs.count = 0;
    error = target_pages_add(&look->pages, &look->runs, start, end);
    look->error = look->error ? look->error : error;
}

/* ---- huge pages (as heap/resident_heap.c has it) ----------------------------------------------------------------- */

static void end_huge_page(struct look *look)
{
    struct heap_parts *parts = look->parts;
    uint64_t *kinds[FREE_KINDS] = {&parts->holes, &parts->free, &parts->ahead};

    for (size_t i = 0; i < FREE_KINDS; i++) {
        *(look->is_huge && look->is_used ? &parts->huge_excess : kinds[i]) += look->idle[i];
        look->idle[i] = 0;
    }
    look->is_used = false;
}

static void begin_piece(struct look *look, uint64_t start, bool is_huge)
{
    if (start / HUGE_PAGE_BYTES != look->huge_number || is_huge != look->is_huge)
        end_huge_page(look);
    look->huge_number = start / HUGE_PAGE_BYTES;
    look->is_huge = is_huge;
}

/* ---- units ------------------------------------------------------------------------------------------------------- */

static struct unit_part *add_unit(struct heap_parts *parts, enum unit_kind kind, unsigned class)
{
    parts->units = memory_room(parts->units, parts->unit_count, &parts->unit_room, sizeof *parts->units);
    parts->units[parts->unit_count] = (struct unit_part){.kind = kind, .class = (uint8_t)class};
    return &parts->units[parts->unit_count++];
}

/* A page of blocks of a class. */
static void see_small_page(struct look *look, const struct seen *seen, size_t page, struct unit_part *unit)
{
    struct heap_parts *parts = look->parts;
    struct class_parts *class = &parts->classes[seen->span.class];
    struct home_used used = home_used_by_bits(seen->home, seen->span.carved, class_bytes(seen->span.class), page);
    uint64_t free = OS_PAGE - min_size(used.bytes, OS_PAGE);

    unit->used += (uint16_t)(OS_PAGE - free);
    if (seen->is_slab) {
        look->is_used = true;
        class->sampled += OS_PAGE - free;
        parts->beside += free;
    } else if (used.blocks == 0) {
        look->idle[FREE_HOLES] += OS_PAGE;
        class->holes += OS_PAGE;
        parts->trim_least += seen->span.live < seen->span.capacity ? OS_PAGE : 0;
    } else {
        look->is_used = true;
        class->used += OS_PAGE - free;
        class->beside += free;
        parts->beside += free;
        class->pages++;
        class->sparse += free > OS_PAGE / 4 * 3;
        class->sparse_free += free > OS_PAGE / 4 * 3 ? free : 0;
    }
}

static bool is_dirty(struct look *look, size_t unit)
{
    struct dirty_word word = {0, 0};

    heap_view_take(look->view, (uintptr_t)(look->region->dirty + unit / 64), &word, sizeof word);
    return (word.fresh | word.old) >> unit % 64 & 1;
}

static void see_free(struct look *look, uint64_t bytes, bool dirty, bool is_top)
{
    look->idle[dirty ? FREE_SPANS : FREE_AHEAD] += bytes;
    if (dirty || (is_top && look->region == look->view->regions))
        look->parts->trim_least += bytes;
}

/* What of a unit has memory, all of it in one run. */
static void see_piece(struct look *look, const struct seen *seen, size_t nth, uint64_t from, uint64_t bytes,
                      struct unit_part *unit)
{
    unit->resident += (uint16_t)bytes;
    if (unit->kind == UNIT_SMALL) {
        for (uint64_t at = from; at < from + bytes; at += OS_PAGE)
            see_small_page(look, seen, (nth << UNIT_SHIFT) / OS_PAGE + at / OS_PAGE, unit);
    } else if (unit->kind == UNIT_LARGE) {
        unit->used += (uint16_t)bytes;
        look->parts->live += bytes;
        look->parts->large.heap += bytes;
        look->is_used = true;
    } else if (seen->span.state == SPAN_CACHED) {
        look->parts->listed_large += bytes;
        look->is_used = true;
    } else if (unit->kind == UNIT_FREE) {
        /* what is free in a tract has no bits */
        see_free(look, bytes, seen->span.state == SPAN_SHELVED || is_dirty(look, seen->unit + nth), seen->is_top);
    }
}

/* The nth unit of a span: the parts of it that have memory. */
static void see_unit(struct look *look, const struct seen *seen, size_t nth, enum unit_kind kind)
{
    struct unit_part *unit = add_unit(look->parts, kind, kind == UNIT_SMALL ? seen->span.class : 0);
    uint64_t start = look->region->base + ((seen->unit + nth) << UNIT_SHIFT), end = start + UNIT;

    for (; look->run < look->runs.count && look->runs.list[look->run].start < end; look->run++) {
        const struct run *run = &look->runs.list[look->run];
        uint64_t from = run->start > start ? run->start : start, to = run->end < end ? run->end : end;

        if (from < to) {
            begin_piece(look, from, run->is_huge);
            look->parts->huge += run->is_huge ? to - from : 0;
            see_piece(look, seen, nth, from - start, to - from, unit);
            if (kind != UNIT_FOREIGN)
                runs_put(&look->ours, from, to, false);
        }
        if (run->end > end)
            break;
    }
}

/* ---- regions ----------------------------------------------------------------------------------------------------- */

/* What is in a span of small blocks or a slab: its class and bits. A span that no class has is on its way to the free ones. */
static enum unit_kind kind_of_small(struct look *look, struct seen *seen)
{
    struct span *span = &seen->span;

    seen->is_slab = span->state == SPAN_LARGE;
    if (!seen->is_slab && span->in_class == 0)
        return UNIT_FREE;
    if (span->class == 0 || span->class >= CLASS_COUNT || span->units == 0 || span->units > HOME_UNITS ||
        span->carved > span->capacity || !heap_view_home(look->view, look->region, seen->unit, span, seen->home))
        return UNIT_LARGE; /* being changed, or overwritten: all of it counts as in use */
    return UNIT_SMALL;
}

static enum unit_kind kind_of(struct look *look, struct seen *seen)
{
    const struct span *span = &seen->span;

    switch (span->state) {
    case SPAN_SMALL: return kind_of_small(look, seen);
    case SPAN_LARGE: return span->class ? kind_of_small(look, seen) : UNIT_LARGE;
    case SPAN_HELD: return span->listed ? UNIT_LARGE : UNIT_FREE;
    case SPAN_SHELVED:
    case SPAN_CACHED:
    case SPAN_FREE: return UNIT_FREE;
    default: return UNIT_FOREIGN;
    }
}

/* The span that begins at a unit, or the one unit that begins none. Returns its length. */
static size_t see_span(struct look *look, size_t unit)
{
    struct seen seen = {.unit = unit};
    size_t left = look->region->frontier - unit, units;
    enum unit_kind kind;

    if (!heap_view_span(look->view, look->region, unit, &seen.span))
        return left; /* it has been overwritten */
    kind = kind_of(look, &seen);
    look->parts->large.blocks += kind == UNIT_LARGE;
    units = kind == UNIT_FOREIGN || seen.span.units == 0 ? 1 : seen.span.units;
    units = units < left ? units : left;
    seen.is_top = units == left;
    for (size_t i = 0; i < units; i++)
        see_unit(look, &seen, i, kind);
    return units;
}

/* Behind the frontier: never handed out, but it may have been made present. */
static void see_unused(struct look *look)
{
    uint64_t start = look->region->base + (look->region->frontier << UNIT_SHIFT);

    for (; look->run < look->runs.count; look->run++) {
        const struct run *run = &look->runs.list[look->run];
        uint64_t from = run->start > start ? run->start : start;

        if (from >= run->end)
            continue;
        begin_piece(look, from, run->is_huge);
        look->parts->huge += run->is_huge ? run->end - from : 0;
        see_free(look, run->end - from, false, true);
        runs_put(&look->ours, from, run->end, false);
    }
}

static void see_region(struct look *look, const struct region *region)
{
    uint64_t end = region->base + (region->mapped << UNIT_SHIFT);

    if (!areas_cover(&look->areas, region->base, end))
        return; /* it has been overwritten */
    look->region = region;
    find_runs(look, region->base, end);
    for (size_t unit = 0; unit < region->frontier && !look->view->error;)
        unit += see_span(look, unit);
    see_unused(look);
    end_huge_page(look);
}

/* ---- the rest of what is ours ------------------------------------------------------------------------------------ */

/* Bytes that have memory in a range, which are noted as the allocator's. */
static uint64_t memory_in(struct look *look, uint64_t start, uint64_t bytes)
{
    uint64_t found = 0;

    if (!start || !bytes || start + bytes < start)
        return 0;
    find_runs(look, align_down(start, OS_PAGE), align_up(start + bytes, OS_PAGE));
    for (size_t i = 0; i < look->runs.count; i++) {
        found += look->runs.list[i].end - look->runs.list[i].start;
        runs_put(&look->ours, look->runs.list[i].start, look->runs.list[i].end, false);
    }
    return found;
}

static void see_mapping(const void *entry, void *data)
{
    const struct mapping *mapping = entry;
    struct look *look = data;
    bool is_kept = mapping->bytes & MAPPED_KEPT;
    uint64_t bytes = memory_in(look, mapping->addr, mapping->bytes & ~MAPPED_KEPT);

    *(is_kept ? &look->parts->kept : &look->parts->live) += bytes;
    if (is_kept)
        return;
    look->parts->large.mapped += bytes;
    look->parts->large.blocks++;
}

static void see_own(uint64_t start, uint64_t bytes, void *data)
{
    struct look *look = data;

    look->parts->metadata += memory_in(look, start, bytes);
}

/* ---- protections ------------------------------------------------------------------------------------------------- */

static void see_hardened_pages(const void *entry, void *data)
{
    const struct pages *pages = entry;
    struct look *look = data;

    if (!pages->unmapped)
        look->parts->around += memory_in(look, (uintptr_t)pages->data, pages->data_bytes);
}

/* Hardened small blocks. Returns the bytes that are live. */
static uint64_t see_hardened(struct look *look)
{
    static struct range_plan plan;
    uintptr_t at = 0;
    uint64_t live = 0;

    heap_view_take(look->view, (uintptr_t)look->view->at[STRUCTURE_hardened_ranges], &at, sizeof at);
    if (!at || !heap_view_take(look->view, at, &plan, sizeof plan))
        return 0;
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        const struct range *range = &plan.ranges[i];
        struct range_state state;

        if (!heap_view_take(look->view, (uintptr_t)range->state, &state, sizeof state))
            continue;
        look->parts->around += memory_in(look, (uintptr_t)range->base, (uint64_t)state.frontier * range->slab);
        look->parts->metadata += memory_in(look, (uintptr_t)range->records[0], state.records[0]) +
                                 memory_in(look, (uintptr_t)range->records[1], state.records[1]);
        live += state.live_bytes;
    }
    return live;
}

static void see_protected(struct look *look)
{
    struct heap_view *view = look->view;
    struct protection_totals guarded = {0}, hardened = {0};
    struct guarded_pool pool = {0};
    uint64_t live = see_hardened(look);

    heap_view_take(view, (uintptr_t)view->at[STRUCTURE_guarded_pool], &pool, sizeof pool);
    heap_view_take(view, (uintptr_t)view->at[STRUCTURE_guarded_live], &guarded, sizeof guarded);
    heap_view_take(view, (uintptr_t)view->at[STRUCTURE_hardened_live], &hardened, sizeof hardened);
    heap_view_each_entry(view, view->at[STRUCTURE_hardened_mapped], sizeof(struct pages), see_hardened_pages, look);
    look->parts->around += memory_in(look, pool.start, pool.bytes);
    live += guarded.bytes + hardened.bytes;
    live = live < look->parts->around ? live : look->parts->around;
    look->parts->around -= live;
    look->parts->live += live;
}

/* ---- blocks that are not at home --------------------------------------------------------------------------------- */

/* whole * part / all, for part <= all. */
static uint64_t share(uint64_t whole, uint64_t part, uint64_t all)
{
    return all ? (uint64_t)((unsigned __int128)whole * part / all) : 0;
}

static void add_row(struct heap_parts *parts, struct heap_view *view, const struct class *row)
{
    struct class_parts *out = &parts->classes[row->index];

    out->blocks += row->out;
    out->spans += row->span_count;
    out->memory += class_memory(row);
    out->transit += heap_view_in_transit(view, row);
}

/* Of a class's resident bytes each block that is not at home has its share. All are in use of a class that had no row yet. */
static void share_class(struct heap_parts *parts, struct heap_view *view, unsigned class)
{
    struct class_parts *out = &parts->classes[class];
    uint64_t left, lists = 0, transit;

    for (size_t i = 0; i < view->thread_count; i++)
        out->listed += heap_view_listed(&view->threads[i], class);
    out->listed = out->listed < out->blocks ? out->listed : out->blocks;
    left = out->blocks - out->listed;
    out->transit = out->transit < left ? out->transit : left;
    for (size_t i = 0; i < view->thread_count && out->listed; i++) {
        size_t listed = heap_view_listed(&view->threads[i], class);
        uint64_t bytes = share(out->used, listed < out->blocks ? listed : out->blocks, out->blocks);

        bytes = bytes < out->used - lists ? bytes : out->used - lists;
        parts->listed[i] += bytes;
        lists += bytes;
    }
    transit = share(out->used, out->transit, out->blocks);
    transit = transit < out->used - lists ? transit : out->used - lists;
    parts->lists += lists;
    parts->transit += transit;
    out->live = out->used - lists - transit;
    parts->live += out->live + out->sampled;
}

/* Large blocks that threads keep count as on their lists. */
static void share_kept(struct heap_parts *parts, const struct heap_view *view)
{
    uint64_t left = parts->listed_large;

    for (size_t i = 0; i < view->thread_count; i++) {
        uint64_t bytes = min_size(view->threads[i].slow.large.units << UNIT_SHIFT, left);

        parts->listed[i] += bytes;
        left -= bytes;
    }
    parts->lists += parts->listed_large;
}

static void share_blocks(struct look *look)
{
    struct heap_parts *parts = look->parts;

    parts->listed = memory_new((look->view->thread_count + 1) * sizeof *parts->listed);
    for (unsigned i = 0; i < look->view->row_count; i++)
        add_row(parts, look->view, &look->view->rows[i]);
    for (unsigned class = 1; class < CLASS_COUNT; class++)
        share_class(parts, look->view, class);
    share_kept(parts, look->view);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *words, *advice;
    size_t offset;
} rows[] = {
#define PART(name, words, advice) {#name, words, advice, offsetof(struct heap_parts, name)},
#include "observe/resident.def"
#undef PART
};

bool heap_parts_row(const struct heap_parts *parts, size_t n, struct part_row *row)
{
    if (n >= sizeof rows / sizeof *rows)
        return false;
    *row = (struct part_row){rows[n].name, rows[n].words, rows[n].advice, 0, true};
    memcpy(&row->bytes, (const char *)parts + rows[n].offset, sizeof row->bytes);
    if (rows[n].offset == offsetof(struct heap_parts, rounding))
        row->is_known = parts->rounding_known;
    if (rows[n].offset == offsetof(struct heap_parts, huge_excess))
        row->is_known = !parts->is_core;
    if (rows[n].offset == offsetof(struct heap_parts, others) && parts->is_core)
        row->advice = "outside of malloc: 'readelf -ln CORE' lists it";
    return true;
}

int heap_parts_count(struct heap_parts *parts, struct heap_view *view)
{
    struct look look = {.view = view, .parts = parts};

    *parts = (struct heap_parts){.is_core = view->target.core};
    look.error = target_pages_open(&view->target, &look.areas, &look.pages);
    for (unsigned i = 0; i < view->region_count && !look.error; i++)
        see_region(&look, &view->regions[i]);
    heap_view_each_entry(view, view->at[STRUCTURE_mapped], sizeof(struct mapping), see_mapping, &look);
    heap_view_each_own(view, see_own, &look);
    see_protected(&look);
    share_blocks(&look);
    target_pages_close(&look.pages);
    if (!look.error)
        other_parts_count(&parts->beyond, view, &look.areas, &look.ours);
    parts->others = parts->beyond.bytes;
    runs_free(&look.runs);
    runs_free(&look.ours);
    areas_free(&look.areas);
    return look.error;
}

void heap_parts_free(struct heap_parts *parts)
{
    other_parts_free(&parts->beyond);
    free(parts->units);
    free(parts->listed);
}
