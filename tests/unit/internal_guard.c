/* SPDX-License-Identifier: MIT */
/* Guarded pages on an OS layer that the test directs, and that has no os_guard: which slot comes next, what is bounded, what
 * a refusal leaves behind. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "budget.h"
#include "guard.h"
#include "os_fake.h"
#include "report.h"
#include "tunables.h"

#define PAGES 14 /* that 64 KiB have room for, beside the records */

static void begin(void) {
    tunables.sample_memory = 64 * KIB;
    tunables.sample_interval = 1;
    cr_assert(guard_start());
}

TestSuite(guard, .init = begin);

static void *due(size_t bytes, size_t align) {
    cr_assert(guard_is_due(1));
    return guard_alloc(bytes, align, "malloc");
}

static void expect_sound(size_t blocks) {
    struct guard_totals totals;
    struct walk walk = {0};
    guard_count(&totals);
    guard_walk(&walk);
    cr_assert_eq(walk.broken, 0);
    cr_assert_eq(totals.blocks, blocks, "%zu blocks, not %zu", totals.blocks, blocks);
}

static uintptr_t page_of(const void *p) {
    return align_down((uintptr_t)p, OS_PAGE);
}

Test(guard, no_more_than_memory_has_room_for) {
    size_t got = 0;
    while (due(100, 16) != NULL)
        got++;
    cr_assert_geq(got, PAGES - 3);
    cr_assert_leq(got, 16);
    expect_sound(got);
}

Test(guard, the_one_freed_longest_ago_comes_next) {
    void *first[100];
    size_t used = 0;
    /* one after another, until the first comes back */
    do {
        first[used] = due(100, 16);
        guard_free(first[used], "free", SIZE_MAX, 0);
        used++;
    } while (used < 100 && (used == 1 || page_of(first[used - 1]) != page_of(first[0])));
    cr_assert_geq(used, 20, "a slot came back after %zu", used);
    cr_assert_lt(used, 100);
    for (size_t i = 1; i < used - 1; i++) {
        void *p = due(100, 16);
        cr_assert_eq(page_of(p), page_of(first[i]), "slot %zu", i);
        guard_free(p, "free", SIZE_MAX, 0);
    }
    expect_sound(0);
}

Test(guard, sizes_and_alignments) {
    static const size_t sizes[] = {0, 1, 16, 4095, 4096, 4097, 9000, 32768};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t told, align = (size_t)16 << i % 9;
        unsigned char *p = due(sizes[i], align);
        cr_assert_not_null(p, "%zu bytes", sizes[i]);
        cr_assert_eq((uintptr_t)p % align, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            cr_assert_eq(p[k], 0);
        cr_assert(guard_owns(p) && guard_size(p, "realloc", &told));
        cr_assert_eq(told, sizes[i]);
        expect_sound(1);
        guard_free(p, "free_sized", sizes[i], 0);
    }
    cr_assert_null(due(GUARD_BYTES_MOST + 1, 16));
    cr_assert_null(due(16, 2 * OS_PAGE));
    expect_sound(0);
}

Test(guard, a_refusal_leaves_nothing_behind) {
    size_t taken = budget_taken();
    os_fake_refuse_map = 1;
    cr_assert_null(due(100, 16));
    expect_sound(0);
    cr_assert_eq(budget_taken(), taken);
    os_fake_refuse_map = 0;
    void *p = due(100, 16);
    cr_assert_not_null(p);
    cr_assert_eq(budget_taken(), taken + OS_PAGE);
    guard_free(p, "free", SIZE_MAX, 0);
    cr_assert_eq(budget_taken(), taken);
}

Test(guard, the_limit_is_kept) {
    tunables.limit = budget_taken() + 2 * OS_PAGE;
    cr_assert_not_null(due(100, 16));
    cr_assert_not_null(due(100, 16));
    cr_assert_null(due(100, 16));
    expect_sound(2);
}

Test(guard, shrinks_where_it_is) {
    char *p = due(100, 16);
    size_t told;
    guard_shrink(p, 10);
    cr_assert(guard_size(p, "realloc", &told));
    cr_assert_eq(told, 10);
    expect_sound(1);
    guard_free(p, "free_sized", 10, 0);
}

Test(guard, who_lies_nearest) {
    struct fault_block block;
    char *p = due(100, 16);
    cr_assert(guard_near(p + 7, &block) && block.start == p && !block.freed);
    cr_assert(guard_near((char *)page_of(p) - 1, &block) && block.start == p);
    cr_assert(guard_near((char *)page_of(p) + OS_PAGE + 1, &block) && block.start == p);
    guard_free(p, "free", SIZE_MAX, 0);
    cr_assert(guard_near(p + 7, &block) && block.freed);
    cr_assert_not(guard_near((char *)page_of(p) + 20 * OS_PAGE, &block));
}

/* Intervals from 100 on: one in 8 ms, and what was saved up for 128. */
Test(guard, time_is_bounded) {
    size_t got = 0;
    tunables.sample_interval = 100;
    os_fake_clock = 100000;
    for (int i = 0; i < 100000; i++)
        if (guard_is_due(100)) {
            got++;
            guard_free(guard_alloc(16, 16, "malloc"), "free", SIZE_MAX, 0);
        }
    cr_assert_geq(got, 15, "%zu", got);
    cr_assert_leq(got, 18, "%zu", got);
    for (int ms = 0; ms < 100; ms++) {
        os_fake_clock++;
        for (int i = 0; i < 100; i++)
            if (guard_is_due(100)) {
                got++;
                guard_free(guard_alloc(16, 16, "malloc"), "free", SIZE_MAX, 0);
            }
    }
    cr_assert_geq(got, 26, "%zu", got);
    cr_assert_leq(got, 32, "%zu", got);
}

/* A thread whose lists serve it: the calls that are seen are few, but the time goes on. */
Test(guard, time_stands_for_what_is_not_seen) {
    size_t got = 0;
    tunables.sample_interval = 1000;
    os_fake_clock = 100000;
    for (int ms = 0; ms < 1000; ms++, os_fake_clock++)
        if (guard_is_due(1)) {
            got++;
            guard_free(guard_alloc(16, 16, "malloc"), "free", SIZE_MAX, 0);
        }
    cr_assert_geq(got, 50, "%zu", got);
    cr_assert_leq(got, 70, "%zu", got);
}

/* Under protect:paranoid every allocation has a slot as long as there is one that was never used. */
Test(guard, paranoid_takes_unused) {
    tunables.sample_interval = 1000000;
    guard_takes_unused = true;
    tunables.protect = LEVEL_PARANOID;
    size_t got = 0;
    for (int i = 0; i < 100; i++) {
        void *p = guard_is_due(1) ? guard_alloc(100, 16, "malloc") : NULL;
        got += p != NULL;
        if (p != NULL)
            guard_free(p, "free", SIZE_MAX, 0);
    }
    cr_assert_geq(got, 20, "%zu", got);
    cr_assert_lt(got, 40, "%zu", got);
}
