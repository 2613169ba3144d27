/* SPDX-License-Identifier: MIT */
/* Regions and spans over an OS layer that the test directs: coalescing, holes, refusal, giving memory back. */
#include <criterion/criterion.h>
#include <string.h>

#include "kit/budget.h"
#include "base/address_map.h"
#include "heap/mapped.h"
#include "os_fake.h"
#include "spans.h"
#include "heap/region.h"
#include "kit/report.h"
#include "base/sizeclass.h"
#include "heap/span.h"
#include "heap/span_free.h"
#include "heap/span_sweep.h"
#include "heap/decay.h"
#include "kit/tunables.h"
#include "heap/unitmap.h"

static void span_check(void) {
    struct walk walk = {0};
    span_walk(&walk);
    cr_assert_eq(walk.broken, 0);
}

static void fill(struct span *span) {
    memset(span_address(span), 0xff, (size_t)span->units * UNIT);
}

Test(span, neighbours_coalesce_in_every_order) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) {
        struct span *guard = large(1), *spans[3] = {large(2), large(3), large(4)}, *end = large(1);
        char *first = span_address(spans[0]);
        for (int k = 0; k < 3; k++) {
            span_release(spans[orders[i][k]]);
            span_check();
        }
        struct span *whole = large(9);
        cr_assert_eq(span_address(whole), first, "order %d", i);
        span_release(whole), span_release(end), span_release(guard);
        span_check();
    }
}

/* What a call for a wrong pointer is told: free memory, or no start of a block. */
Test(span, free_memory_is_known) {
    struct span *before = large(1), *gone = large(5), *live = large(5), *small = span_acquire_small(class_of(100), false);
    char *of_gone = span_address(gone), *of_live = span_address(live), *of_small = span_address(small);
    cr_assert_not_null(before);
    cr_assert_not(span_is_free(of_gone));
    span_release(gone);
    for (size_t unit = 0; unit < 5; unit++) {
        cr_assert(span_is_free(of_gone + unit * UNIT), "free, unit %zu", unit);
        cr_assert(span_is_free(of_gone + unit * UNIT + BLOCK_ALIGN));
        cr_assert_not(span_is_free(of_gone + unit * UNIT + 1), "where no block starts");
        cr_assert_not(span_is_free(of_live + unit * UNIT), "in a live block, unit %zu", unit);
    }
    cr_assert_not(span_is_free(of_small + 112));
    cr_assert(span_is_free((char *)regions[0].base + (regions[0].frontier << UNIT_SHIFT)), "beyond the frontier");
    cr_assert_not(span_is_free(&gone), "outside of all regions");
}

Test(span, best_fit_takes_the_smallest_that_is_enough) {
    struct span *a = large(8), *g1 = large(1), *b = large(4), *g2 = large(1), *c = large(4), *g3 = large(1);
    char *lower = span_address(b);
    span_release(a), span_release(c), span_release(b);
    struct span *got = large(3);
    cr_assert_eq(span_address(got), lower, "of two that fit as well, the lower one");
    cr_assert_not_null(g1);
    cr_assert_not_null(g2);
    cr_assert_not_null(g3);
    span_check();
}

Test(span, random_traffic_keeps_the_invariants) {
    enum { COUNT = 200 };
    struct span *spans[COUNT] = {0};
    unsigned random = 1;
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525 + 1013904223;
        struct span **at = &spans[(random >> 8) % COUNT];
        size_t units = (random >> 16) % 40 + 1;
        if (*at == NULL)
            *at = random % 3 ? large(units) : span_acquire_small(class_of(units * 800), false);
        else if ((*at)->state == SPAN_LARGE && random % 4 == 0)
            span_try_resize(*at, units);
        else {
            span_release(*at);
            *at = NULL;
        }
        if (i % 500 == 0)
            span_check();
    }
    for (int i = 0; i < COUNT; i++)
        if (spans[i] != NULL)
            span_release(spans[i]);
    span_check();
    cr_assert_eq(span_totals.small + span_totals.large, 0);
}

Test(span, resize_takes_the_neighbour_or_the_top_and_no_more) {
    struct span *a = large(4), *b = large(4), *c = large(4);
    cr_assert_not(span_try_resize(a, 5), "the neighbour is taken");
    span_release(b);
    cr_assert(span_try_resize(a, 6));
    cr_assert_not(span_try_resize(a, 9));
    cr_assert(span_try_resize(a, 8), "all of the neighbour");
    cr_assert(span_try_resize(c, 1000), "at the top the heap grows");
    cr_assert(span_try_resize(a, 1));
    span_check();
    cr_assert_eq(span_find(span_address(a)), a);
    cr_assert_null(span_find(span_address(a) + UNIT));
}

Test(span, fresh_memory_is_known_to_be_zero_and_used_memory_is_not) {
    bool zeroed = false;
    struct span *a = span_acquire_large(10, UNIT, &zeroed), *end = large(1);
    cr_assert(zeroed);
    fill(a);
    span_release(a);
    a = span_acquire_large(10, UNIT, &zeroed);
    cr_assert_not(zeroed);
    span_release(a);
    cr_assert_geq(span_purge(0), 10 * UNIT);
    a = span_acquire_large(10, UNIT, &zeroed);
    cr_assert(zeroed);
    for (size_t i = 0; i < 10 * UNIT; i++)
        cr_assert_eq(span_address(a)[i], 0);
    span_release(end);
}

Test(span, alignment_gives_the_rest_back) {
    for (size_t align = UNIT * 2; align <= 4 * MIB; align *= 2) {
        bool zeroed;
        size_t before = span_totals.large;
        struct span *span = span_acquire_large(3, align, &zeroed);
        cr_assert_eq((uintptr_t)span_address(span) % align, 0);
        cr_assert_eq(span_totals.large, before + 3);
        span_check();
    }
}

Test(span, pages_made_present_for_small_spans_are_not_given_to_large_ones) {
    unsigned class = class_of(4096);
    struct span *before = large(1000), *small = span_acquire_small(class, false); /* 64 KiB ahead, of which it is the first unit */
    struct span *big = large(2), *next = span_acquire_small(class, false);
    cr_assert_eq(small->units, 1);
    cr_assert_eq(page_heap.kept_units, ((regions[0].warm - (uintptr_t)span_address(small)) >> UNIT_SHIFT) - 2);
    cr_assert_geq((uintptr_t)span_address(big), regions[0].warm);
    cr_assert_eq(span_address(next), span_address(small) + UNIT, "they go to the next small span");
    span_check();
    span_release(next); /* one free span of all that was kept, for everybody */
    cr_assert_eq(page_heap.kept_units, 0);
    cr_assert_eq(span_address(large(2)), span_address(small) + UNIT);
    span_check();
    cr_assert_not_null(before);
}

Test(span, what_is_kept_for_small_spans_is_little_and_serves_large_ones_where_there_is_nothing_else) {
    bool zeroed;
    cr_assert_not_null(large(1000));
    for (int i = 0; i < 300; i++) {
        struct span *small = span_acquire_small(class_of(EXACT_MAX + 128 * (size_t)(i % 100)), false);
        cr_assert_not_null(small);
        cr_assert_not_null(large(1 + (size_t)i % 3));
        cr_assert_leq(page_heap.kept_units, span_totals.small / 64 + 4);
        if (i % 50 == 0)
            span_check();
    }
    size_t kept = page_heap.kept_units;
    cr_assert_gt(kept, 0);
    os_fake_refuse_brk = os_fake_refuse_map = 1;
    while (span_acquire_large(1, UNIT, &zeroed) != NULL)
        cr_assert_not(zeroed && page_heap.kept_units < kept, "nobody knows what is in it");
    cr_assert_eq(page_heap.kept_units, 0);
    span_check();
}

Test(span, small_spans_are_in_the_unit_map_while_they_live) {
    unsigned class = class_of(3000);
    struct span *span = span_acquire_small(class, false);
    char *p = span_address(span);
    for (size_t i = 0; i < span->units; i++)
        cr_assert_eq(unitmap_find(p + i * UNIT), class * CLASS_STEP);
    cr_assert_eq(unitmap_find(p + span->units * UNIT), 0);
    cr_assert_eq(span_find(p + span->units * UNIT - 16), span);
    size_t units = span->units;
    span_release(span);
    for (size_t i = 0; i < units; i++)
        cr_assert_eq(unitmap_find(p + i * UNIT), 0);
}

/* ---- age --------------------------------------------------------------------------------------------------------- */

static size_t sweep_all(size_t calls) {
    struct sweep sweep = {0};
    size_t given = 0, steps = 0;
    for (; !sweep.over; steps++) {
        given += span_sweep(&sweep, (struct sweep_bound){calls, SIZE_MAX});
        span_check();
    }
    cr_assert_lt(steps, 1000);
    return given >> UNIT_SHIFT;
}

Test(age, what_is_free_for_a_whole_period_goes) {
    struct span *a = large(1000), *end = large(1);
    fill(a);
    span_release(a);
    cr_assert_eq(sweep_all(SIZE_MAX), 0, "it was freed in this period");
    cr_assert_eq(span_totals.free_dirty, 1000);
    cr_assert_eq(sweep_all(SIZE_MAX), 1000);
    cr_assert_eq(span_totals.free_dirty, 0);
    cr_assert_eq(sweep_all(SIZE_MAX), 0);
    cr_assert_not_null(end);
}

/* A large free span, a part of which is taken and freed again in each period: the rest goes as if nothing happened. */
Test(age, cuts_and_merges_lose_nothing) {
    struct span *a = large(1000), *end = large(1);
    fill(a);
    span_release(a);
    sweep_all(SIZE_MAX);
    struct span *part = large(10);
    cr_assert_eq(part, a);
    span_release(part);
    cr_assert_eq(sweep_all(SIZE_MAX), 990);
    part = large(10);
    span_release(part);
    cr_assert_eq(sweep_all(SIZE_MAX), 0);
    cr_assert_eq(sweep_all(SIZE_MAX), 10);
    span_release(end);
}

/* Single units, in words of the bits and across them. */
Test(age, of_every_second_unit) {
    enum { COUNT = 600 };
    struct span *spans[COUNT], *end = NULL;
    for (int i = 0; i < COUNT; i++)
        fill(spans[i] = large(1));
    end = large(1);
    for (int i = 0; i < COUNT; i += 2)
        span_release(spans[i]);
    sweep_all(SIZE_MAX);
    for (int i = 1; i < COUNT; i += 2)
        span_release(spans[i]);
    span_check();
    cr_assert_eq(sweep_all(1), COUNT / 2, "a call at a time");
    cr_assert_eq(sweep_all(SIZE_MAX), COUNT / 2, "over the clean ones between");
    span_release(end);
}

Test(age, a_sweep_that_is_left_goes_on) {
    struct span *a = large(1900), *end = large(1);
    fill(a);
    span_release(a);
    sweep_all(SIZE_MAX);
    struct sweep sweep = {0};
    size_t given = span_sweep(&sweep, (struct sweep_bound){1, SIZE_MAX}) >> UNIT_SHIFT;
    cr_assert(given > 0 && given < 1900 && !sweep.over, "%zu", given);
    struct span *rest = large(1900); /* what is clean and what is not, in one */
    cr_assert_eq(rest, a);
    fill(rest);
    cr_assert_eq(span_sweep(&sweep, (struct sweep_bound){SIZE_MAX, SIZE_MAX}), 0);
    span_release(rest), span_release(end);
    span_check();
}

/* What is refused is not asked for again in the same sweep, nor in the next. */
Test(age, refused) {
    struct span *a = large(100), *between = large(1), *b = large(100), *end = large(1);
    fill(a), fill(b);
    span_release(a), span_release(b);
    sweep_all(SIZE_MAX);
    os_fake_refuse_purge = true;
    struct sweep sweep = {0};
    cr_assert_eq(span_sweep(&sweep, (struct sweep_bound){SIZE_MAX, SIZE_MAX}), 0);
    cr_assert(sweep.over);
    span_check();
    os_fake_refuse_purge = false;
    cr_assert_eq(sweep_all(SIZE_MAX), 100, "only the other one is old");
    cr_assert_eq(sweep_all(SIZE_MAX), 100);
    span_release(between), span_release(end);
}

Test(age, at_once_where_it_may_have_none) {
    struct span *a = large(3), *end = large(1);
    fill(a);
    tunables.decay_ms = 0;
    span_release(a);
    cr_assert_eq(span_totals.free_dirty, 0);
    cr_assert_eq(*span_address(a), 0);
    span_check();
    span_release(end);
}

Test(age, never_where_nothing_is_trimmed) {
    struct span *a = large(1900), *end = large(1);
    fill(a);
    tunables.trim_threshold = SIZE_MAX;
    tunables.decay_ms = 0;
    span_release(a);
    tunables.decay_ms = 1000;
    for (int i = 0; i < 10; i++, os_fake_clock += 5000)
        decay_look(os_fake_clock);
    cr_assert_eq(span_totals.free_dirty, 1900);
    cr_assert_eq(decay_due(), UINT64_MAX);
    tunables.trim_threshold = 1 << 20;
    decay_changed();
    for (int i = 0; i < 2; i++, os_fake_clock += 5000)
        decay_look(os_fake_clock);
    cr_assert_eq(span_totals.free_dirty, 0);
    span_check();
    cr_assert_not_null(end);
}

/* The first step calls what is free old; the sweeps that follow give it back, each when it is due. */
Test(age, steps_come_when_they_are_due) {
    struct span *a = large(1900), *end = large(1);
    fill(a);
    span_release(a);
    decay_look(os_fake_clock);
    os_fake_clock += tunables.decay_ms / 2;
    decay_look(os_fake_clock);
    cr_assert_eq(span_totals.free_dirty, 1900, "not due");
    os_fake_clock += tunables.decay_ms / 4;
    decay_look(os_fake_clock);
    size_t left = span_totals.free_dirty;
    cr_assert_lt(left, 1900);
    decay_look(os_fake_clock);
    cr_assert_eq(span_totals.free_dirty, left, "the next one is not due");
    for (int i = 0; i < 100 && span_totals.free_dirty > 0; i++) {
        os_fake_clock += 10;
        decay_look(os_fake_clock);
    }
    cr_assert_eq(span_totals.free_dirty, 0);
    span_check();
    cr_assert_not_null(end);
}

Test(age, after_a_silence_all_is_old) {
    struct span *a = large(1900), *end = large(1);
    fill(a);
    span_release(a);
    os_fake_clock += tunables.decay_ms;
    decay_look(os_fake_clock);
    cr_assert_eq(span_totals.free_dirty, 0, "one call gives it back");
    span_check();
    cr_assert_not_null(end);
}

Test(age, what_is_freed_after_a_silence_is_not) {
    struct span *a = large(1900), *between = large(1), *b = large(700), *end = large(1);
    fill(a), fill(b);
    span_release(a);
    os_fake_clock += tunables.decay_ms;
    span_release(b);
    for (int i = 0; i < 10; i++, os_fake_clock += 10) {
        decay_look(os_fake_clock);
        cr_assert_eq(span_totals.free_dirty, 700, "the silence ended before it was freed");
    }
    span_check();
    cr_assert_not_null(between);
    cr_assert_not_null(end);
}

Test(span, the_top_goes_back_by_the_break) {
    struct span *keep = large(1), *top = large(2000);
    fill(top);
    uintptr_t before = os_fake_break();
    span_release(top);
    cr_assert_geq(span_purge(0), 2000 * UNIT);
    cr_assert_leq(os_fake_break() + 2000 * UNIT, before);
    span_check();
    struct span *again = large(3000);
    for (size_t i = 0; i < 3000 * UNIT; i += 4096)
        cr_assert_eq(span_address(again)[i], 0);
    cr_assert_not_null(keep);
}

/* malloc_trim(3): the pad is left untrimmed. Its memory as well, else it would spare no page fault. */
Test(span, the_pad_at_the_top_keeps_its_memory) {
    struct span *hole = large(50), *keep = large(1), *top = large(2000);
    fill(hole), fill(top);
    span_release(hole), span_release(top);
    cr_assert_eq(span_purge(300 * UNIT), 1750 * UNIT);
    cr_assert_eq(span_totals.free_dirty, 300);
    cr_assert_eq(span_address(top)[300 * UNIT - 1], (char)0xff);
    cr_assert_eq(span_purge(300 * UNIT), 0);
    cr_assert_eq(span_purge(100 * UNIT + 1), 199 * UNIT);
    cr_assert_eq(span_purge(0), 101 * UNIT);
    cr_assert_eq(span_totals.free_dirty, 0);
    span_check();
    cr_assert_not_null(keep);
}

Test(region, foreign_memory_in_the_break_is_left_alone) {
    struct span *a = large(10);
    os_fake_foreign_break(100);
    uintptr_t theirs = os_fake_break();
    memset((void *)(theirs - 100), 0x5a, 100);
    struct span *b = large(5000);
    cr_assert_gt((uintptr_t)span_address(b), theirs);
    fill(b);
    span_check();
    span_release(b), span_release(a);
    span_check();
    span_purge(0);
    for (int i = 1; i <= 100; i++)
        cr_assert_eq(*(char *)(theirs - (uintptr_t)i), 0x5a);
    cr_assert_geq(os_fake_break(), theirs);
    os_fake_foreign_break(50);
    cr_assert_eq(span_purge(0), 0, "the break is not ours to move");
}

Test(region, arenas_serve_when_the_break_is_refused) {
    struct span *a = large(10);
    os_fake_refuse_brk = 1;
    struct span *b = large(10000);
    cr_assert_neq(b->region, a->region);
    cr_assert_eq(region_find(span_address(b)), &regions[b->region]);
    fill(b);
    struct span *small = span_acquire_small(5, false);
    cr_assert_neq(unitmap_find(span_address(small)), 0);
    span_release(b), span_release(small);
    span_check();
}

Test(region, refusal_leaves_everything_as_it_was) {
    struct span *a = large(10);
    struct span_totals before = span_totals;
    bool zeroed;
    os_fake_refuse_brk = os_fake_refuse_map = 1;
    cr_assert_null(span_acquire_large(100000, UNIT, &zeroed));
    cr_assert_null(span_acquire_large((size_t)1 << 40, UNIT, &zeroed));
    cr_assert_not(span_try_resize(a, 1000000));
    cr_assert_eq(memcmp(&before, &span_totals, sizeof before), 0);
    span_check();
    os_fake_refuse_brk = os_fake_refuse_map = 0;
    cr_assert_not_null(span_acquire_large(1000, UNIT, &zeroed));
}

static bool zeros; /* what the last map_block has told */

static void *map_block(size_t bytes, size_t align) {
    return mapped_alloc(bytes, align, &zeros);
}

Test(large, table_finds_what_it_holds) {
    enum { COUNT = 3000 };
    static void *p[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_not_null(p[i] = map_block(i % 7 * OS_PAGE + 1, OS_PAGE));
    for (size_t i = 0; i < COUNT; i += 2)
        cr_assert(mapped_free(p[i]));
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(mapped_bytes(p[i]), i % 2 ? (i % 7 + 1) * OS_PAGE : 0);
    cr_assert_not(mapped_free(p[0]));
    cr_assert_eq(mapped_totals.count, COUNT / 2);
    for (size_t i = 1; i < COUNT; i += 2) {
        strcpy(p[i], "kept");
        cr_assert_not_null(p[i] = mapped_resize(p[i], 100 * OS_PAGE));
        cr_assert_str_eq(p[i], "kept");
        cr_assert(mapped_free(p[i]));
    }
    cr_assert_eq(mapped_totals.count, 0);
    cr_assert_eq(mapped_totals.bytes, 0);
}

Test(large, limit_and_refusal) {
    tunables.mmap_max = 2;
    void *a = map_block(1, OS_PAGE), *b = map_block(1, 64 * OS_PAGE);
    cr_assert_eq((uintptr_t)b % (64 * OS_PAGE), 0);
    cr_assert_null(map_block(1, OS_PAGE));
    os_fake_refuse_map = 1;
    strcpy(a, "kept");
    cr_assert_null(mapped_resize(a, 1000 * OS_PAGE));
    cr_assert_str_eq(a, "kept");
    cr_assert_eq(mapped_bytes(a), OS_PAGE);
    cr_assert(mapped_free(a) && mapped_free(b));
}

/* The table is a page of 256 entries, of which three quarters may be used. A mapping is not in it while it is resized;
 * meanwhile others want its place, and are resized in turn, 192 deep, and the table cannot grow. */
enum { ENTRIES = ADDRESS_MAP_MIN * 3 / 4 };
static void *resized[ENTRIES];
static size_t deep, intruders;

static void others_come_in_between(void) {
    while (map_block(1, OS_PAGE) != NULL)
        intruders++;
    if (++deep < ENTRIES)
        cr_assert_not_null(resized[deep] = mapped_resize(resized[deep], 2 * OS_PAGE));
}

Test(large, an_entry_that_is_away_can_come_back) {
    for (size_t i = 0; i < ENTRIES; i++)
        cr_assert_not_null(resized[i] = map_block(1, OS_PAGE));
    os_fake_map_most = OS_PAGE;
    os_fake_while_remapping = others_come_in_between;
    resized[0] = mapped_resize(resized[0], 2 * OS_PAGE);
    os_fake_while_remapping = NULL;
    cr_assert_eq(deep, ENTRIES);
    cr_assert_eq(intruders, 0);
    for (size_t i = 0; i < ENTRIES; i++)
        cr_assert_eq(mapped_bytes(resized[i]), 2 * OS_PAGE);
    struct walk walk = {0};
    mapped_walk(&walk);
    cr_assert_eq(walk.broken, 0);
}

Test(large, what_cannot_be_unmapped_serves_again) {
    enum { COUNT = 300 };
    void *p[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        memset(p[i] = map_block(3 * OS_PAGE, OS_PAGE), 1, 3 * OS_PAGE);
    size_t taken = budget_taken();
    os_fake_refuse_unmap = 1;
    for (size_t i = 0; i < COUNT; i++)
        cr_assert(mapped_free(p[i]) && mapped_bytes(p[i]) == 0 && !mapped_free(p[i]));
    cr_assert_eq(mapped_totals.count, 0);
    cr_assert_eq(budget_taken(), taken - COUNT * 3 * OS_PAGE);
    size_t mapped = os_fake_mapped;
    os_fake_refuse_map = 1;
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_not_null(p[i] = map_block(2 * OS_PAGE, OS_PAGE));
        cr_assert_eq(mapped_bytes(p[i]), 3 * OS_PAGE);
        cr_assert_not(zeros); /* the kernel may have kept what it held */
    }
    cr_assert_null(map_block(2 * OS_PAGE, OS_PAGE));
    strcpy(p[7], "kept");
    p[7] = mapped_resize(p[7], OS_PAGE); /* refused, too: it stays */
    cr_assert(p[7] != NULL && strcmp(p[7], "kept") == 0 && mapped_bytes(p[7]) == 3 * OS_PAGE);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert(mapped_free(p[i]));
    os_fake_refuse_map = os_fake_refuse_unmap = 0;
    mapped_trim();
    cr_assert_eq(os_fake_mapped, mapped - COUNT * 3 * OS_PAGE);
    struct walk walk = {0};
    mapped_walk(&walk);
    cr_assert_eq(walk.broken, 0);
}

/* ---- where the heap is ------------------------------------------------------------------------------------------- */

/* Where the test runs under an emulator, which keeps a record of each page, the heap is smaller, but longer than the break. */
#define FAR (ARCH_PAGE_VARIES ? 24 * GIB : 700 * GIB)

/* Large spans that nobody touches, until there are so many bytes; the blocks of small spans between are found in the unit
 * map. */
static void reach(size_t bytes) {
    for (size_t got = 0; got < bytes; got += GIB) {
        struct span *big = large(GIB / UNIT - 1), *small = span_acquire_small(class_of(100), false);
        cr_assert_not_null(small);
        cr_assert_neq(unitmap_find(span_address(small)), 0, "behind %zu GiB", got / GIB);
        cr_assert_eq(span_find(span_address(big)), big);
    }
    span_check();
}

Test(region, the_heap_reaches_beyond_what_any_number_of_arenas_of_a_gigabyte_has) {
    reach(FAR); /* the break goes for the first 8 */
    cr_assert_lt(region_count, 80);
}

Test(region, and_without_a_break) {
    os_fake_refuse_brk = 1;
    reach(FAR);
    cr_assert_eq(regions[0].mapped, 0);
}

/* The kernel puts regions where it wants: small blocks are found through their region where the unit map does not reach. */
Test(region, and_where_the_kernel_maps_at_no_address_that_is_asked_for) {
    os_fake_no_places = true;
    for (int i = 0; i < 50; i++) {
        struct span *big = large(GIB / UNIT / 4 - 1), *small = span_acquire_small(class_of(100), false);
        cr_assert_eq(span_find(span_address(small) + 50), small);
        cr_assert_eq(span_find(span_address(big)), big);
    }
    span_check();
}

Test(region, the_window_is_around_the_first_region_if_that_lies_anywhere) {
    os_fake_no_places = true;
    os_fake_refuse_brk = 1;
    for (int i = 0; i < 50; i++)
        cr_assert_neq(unitmap_find(span_address(span_acquire_small(class_of(10000), false))), 0);
    span_check();
}

Test(region, memory_that_is_refused_in_large_pieces_comes_in_small_ones) {
    os_fake_refuse_brk = 1;
    os_fake_map_most = 2 * MIB;
    for (int i = 0; i < 200; i++)
        large(4);
    cr_assert_lt(region_count, 15);
    span_check();
}

Test(region, what_is_reserved_is_a_small_multiple_of_what_is_used) {
    size_t before = os_fake_reserved;
    large(1);
    cr_assert_lt(os_fake_reserved - before, 3 * MIB);
    large(2 * GIB / UNIT);
    cr_assert_lt(os_fake_reserved - before, 2 * GIB / UNIT * 195 * 2 + 3 * MIB);
}
