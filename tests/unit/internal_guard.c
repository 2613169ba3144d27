/* SPDX-License-Identifier: MIT */
/* Guarded pages on an OS layer that the test directs, and that has no os_guard_install: which slot comes next, what is bounded,
 * what a refusal leaves behind. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kit/budget.h"
#include "callers/stacks.h"
#include "protect/fault.h"
#include "protect/guarded.h"
#include "protect/guarded_pool.h"
#include "protect/judge.h"
#include "protect/sampler.h"
#include "os_fake.h"
#include "kit/report.h"
#include "kit/tunables.h"

#define PAGES 14 /* that 64 KiB have room for, beside the records */

static void begin(void) {
    tunables.sample_memory = 64 * KIB;
    tunables.sample_interval = 1;
    cr_assert(guarded_start());
    stacks_capture(); /* what the store takes at its first use is no part of what the tests count */
}

TestSuite(guard, .init = begin);

static void *get(size_t bytes, size_t align) {
    bool zeroed;
    return guarded_protection.alloc(bytes, align, &zeroed, "malloc");
}

static void *due(size_t bytes, size_t align) {
    cr_assert(sampler_is_due(1));
    return get(bytes, align);
}

static void expect_sound(size_t blocks) {
    struct protection_totals totals;
    struct walk walk = {0};
    guarded_protection.count(&totals);
    guarded_protection.walk(&walk);
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
        judge_free(&guarded_protection, first[used], "free", SIZE_MAX, 0);
        used++;
    } while (used < 100 && (used == 1 || page_of(first[used - 1]) != page_of(first[0])));
    cr_assert_geq(used, 20, "a slot came back after %zu", used);
    cr_assert_lt(used, 100);
    for (size_t i = 1; i < used - 1; i++) {
        void *p = due(100, 16);
        cr_assert_eq(page_of(p), page_of(first[i]), "slot %zu", i);
        judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
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
        cr_assert(guarded_owns(p) && judge_size(&guarded_protection, p, "realloc", &told));
        cr_assert_eq(told, sizes[i]);
        expect_sound(1);
        judge_free(&guarded_protection, p, "free_sized", sizes[i], 0);
    }
    cr_assert_null(due(GUARDED_BYTES_MOST + 1, 16));
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
    judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
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
    judge_shrink(&guarded_protection, p, 10, "realloc");
    cr_assert(judge_size(&guarded_protection, p, "realloc", &told));
    cr_assert_eq(told, 10);
    expect_sound(1);
    judge_free(&guarded_protection, p, "free_sized", 10, 0);
}

Test(guard, who_lies_nearest) {
    struct fault_block block;
    char *p = due(100, 16);
    cr_assert(guarded_near(p + 7, &block) && block.start == p && !block.freed);
    cr_assert(guarded_near((char *)page_of(p) - 1, &block) && block.start == p);
    cr_assert(guarded_near((char *)page_of(p) + OS_PAGE + 1, &block) && block.start == p);
    judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    cr_assert(guarded_near(p + 7, &block) && block.freed);
    cr_assert_not(guarded_near((char *)page_of(p) + 20 * OS_PAGE, &block));
}

/* Intervals from 100 on: one in 8 ms, and what was saved up for 128. */
Test(guard, time_is_bounded) {
    size_t got = 0;
    tunables.sample_interval = 100;
    os_fake_clock = 100000;
    for (int i = 0; i < 100000; i++)
        if (sampler_is_due(100)) {
            got++;
            judge_free(&guarded_protection, get(16, 16), "free", SIZE_MAX, 0);
        }
    cr_assert_geq(got, 15, "%zu", got);
    cr_assert_leq(got, 18, "%zu", got);
    for (int ms = 0; ms < 100; ms++) {
        os_fake_clock++;
        for (int i = 0; i < 100; i++)
            if (sampler_is_due(100)) {
                got++;
                judge_free(&guarded_protection, get(16, 16), "free", SIZE_MAX, 0);
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
        if (sampler_is_due(1)) {
            got++;
            judge_free(&guarded_protection, get(16, 16), "free", SIZE_MAX, 0);
        }
    cr_assert_geq(got, 50, "%zu", got);
    cr_assert_leq(got, 70, "%zu", got);
}

/* Whoever draws first: numbers that are the same in each process would put blocks at the same places in each. */
Test(guard, the_first_draw_is_seeded) {
    uint64_t first, again;
    sampler_self.random = 0;
    first = sampler_draw();
    os_fake_clock++;
    sampler_self.random = 0;
    again = sampler_draw();
    cr_assert_neq(first, again);
}

/* Under protect:paranoid every allocation has a slot as long as there is one that was never used. */
Test(guard, paranoid_takes_unused) {
    tunables.sample_interval = 1000000;
    sampler_takes_all = true;
    tunables.protect = LEVEL_PARANOID;
    size_t got = 0;
    for (int i = 0; i < 100; i++) {
        void *p = sampler_is_due(1) ? get(100, 16) : NULL;
        got += p != NULL;
        if (p != NULL)
            judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    }
    cr_assert_geq(got, 20, "%zu", got);
    cr_assert_lt(got, 40, "%zu", got);
}

/* ---- slots that are marked, by a kernel that can ------------------------------------------------------------------- */

static void begin_guards(void) {
    os_fake_guards = true;
    begin();
    guarded_pool.unmarked_left = 0;
}

TestSuite(guarded_pages, .init = begin_guards);

Test(guarded_pages, come_back_zero) {
    for (int i = 0; i < 200; i++) {
        unsigned char *p = due(5000, 16);
        cr_assert_not_null(p);
        for (size_t k = 0; k < 5000; k++)
            cr_assert_eq(p[k], 0);
        memset(p, 0xa5, 5000);
        judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    }
    expect_sound(0);
}

/* os_guard_install fails from some time on, as for locked memory: slots are decommitted instead. */
Test(guarded_pages, can_fail_later) {
    unsigned char *p = due(100, 16);
    memset(p, 0xa5, 100);
    os_fake_guards = false;
    judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    for (int i = 0; i < 100; i++) {
        p = due(100, 16);
        cr_assert_not_null(p);
        for (size_t k = 0; k < 100; k++)
            cr_assert_eq(p[k], 0);
        judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    }
    expect_sound(0);
}

/* A freed block whose pages could not be shut can be touched; when its turn comes again that is made good. */
Test(guarded_pages, shut_refused) {
    void *p = due(100, 16);
    os_fake_guards = false;
    os_fake_refuse_decommit = true;
    judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    expect_sound(0);
    os_fake_refuse_decommit = false;
    for (int i = 0; i < 100; i++)
        judge_free(&guarded_protection, due(100, 16), "free", SIZE_MAX, 0);
    expect_sound(0);
}

/* What free slots have committed is given back when memory is refused; they serve on. */
Test(guarded_pages, trimmed) {
    char *kept = due(100, 16), *freed = due(100, 16);
    memset(kept, 0xa5, 100);
    memset(freed, 0xa5, 100);
    judge_free(&guarded_protection, freed, "free", SIZE_MAX, 0);
    cr_assert_eq(guarded_protection.trim(false), 0);
    cr_assert_geq(guarded_protection.trim(true), 10 * OS_PAGE);
    cr_assert_eq(guarded_protection.trim(true), 0);
    for (size_t i = 0; i < 100; i++)
        cr_assert_eq(kept[i], (char)0xa5);
    expect_sound(1);
    judge_free(&guarded_protection, kept, "free", SIZE_MAX, 0);
    for (int i = 0; i < 100; i++) {
        unsigned char *p = due(100, 16);
        cr_assert_not_null(p);
        for (size_t k = 0; k < 100; k++)
            cr_assert_eq(p[k], 0);
        memset(p, 0xa5, 100);
        judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    }
    expect_sound(0);
}

Test(guarded_pages, opening_refused) {
    size_t taken = budget_taken();
    judge_free(&guarded_protection, due(100, 16), "free", SIZE_MAX, 0);
    os_fake_refuse_map = 1;
    cr_assert_null(due(100, 16));
    cr_assert_eq(budget_taken(), taken);
    expect_sound(0);
    os_fake_refuse_map = 0;
    cr_assert_not_null(due(100, 16));
}

/* ---- misuse, told to a handler ----------------------------------------------------------------------------------- */

static enum mcheck_status last;
static unsigned tellings;

static void keep(enum mcheck_status status) {
    last = status;
    tellings++;
}

static void expect_told(enum mcheck_status status) {
    cr_assert_eq(tellings, 1, "told %u times", tellings);
    cr_assert_eq(last, status, "status %d", last);
    tellings = 0;
}

Test(guard, misuse_is_told) {
    size_t bytes;
    char *p = due(100, 16);
    fault_set_handler(keep);
    judge_free(&guarded_protection, p + 1, "free", SIZE_MAX, 0);
    expect_told(MCHECK_HEAD);
    judge_free(&guarded_protection, (char *)page_of(p) + 7 * OS_PAGE, "free", SIZE_MAX, 0); /* a slot that was never used */
    expect_told(MCHECK_HEAD);
    cr_assert_not(judge_size(&guarded_protection, p + 1, "realloc", &bytes));
    expect_told(MCHECK_HEAD);
    expect_sound(1);
    judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    cr_assert_eq(tellings, 0);
    judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    expect_told(MCHECK_FREE);
    cr_assert_not(judge_size(&guarded_protection, p, "realloc", &bytes));
    expect_told(MCHECK_FREE);
    p = due(100, 16);
    judge_free(&guarded_protection, p, "free_sized", 99, 0);
    expect_told(MCHECK_HEAD);
    expect_sound(0); /* freed all the same */
}

Test(guard, canaries_are_looked_at) {
    fault_set_handler(keep);
    for (int i = 0; i < 20; i++) {
        char *p = due(96, 16);
        bool at_start = (uintptr_t)p % OS_PAGE == 0;
        p[at_start ? 96 : -1] ^= 1;
        judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
        expect_told(at_start ? MCHECK_TAIL : MCHECK_HEAD);
    }
    expect_sound(0);
}

Test(guarded_start, refused) {
    size_t taken = budget_taken();
    tunables.sample_memory = 64 * KIB;
    os_fake_refuse_map = 1;
    cr_assert_not(guarded_start());
    cr_assert_eq(budget_taken(), taken);
    os_fake_refuse_map = 0;
    cr_assert(guarded_start());
    expect_sound(0);
}

Test(guarded_start, less_where_records_are_refused) {
    tunables.sample_memory = MIB;
    tunables.sample_interval = 1;
    os_fake_refuse_nth = 3;
    cr_assert(guarded_start());
    expect_sound(0);
    cr_assert_not_null(due(100, 16));
}

Test(guard, after_a_fork) {
    void *p = due(100, 16);
    lock_set_acquire(&guarded_locks, NULL);
    lock_set_release(&guarded_locks);
    lock_set_acquire(&guarded_locks, NULL);
    guarded_locks.child();
    lock_set_reset(&guarded_locks, NULL);
    judge_free(&guarded_protection, p, "free", SIZE_MAX, 0);
    expect_sound(0);
}
