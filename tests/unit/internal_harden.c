/* SPDX-License-Identifier: MIT */
/* Hardened blocks on an OS layer that the test directs: what a refusal leaves behind, and that each misuse is told, once,
 * by its right name. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "kit/budget.h"
#include "kit/modes.h"
#include "callers/stacks.h"
#include "protect/fault.h"
#include "protect/hardened.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_slab.h"
#include "protect/hardened_small.h"
#include "protect/judge.h"
#include "protect/protections.h"
#include "os_fake.h"
#include "kit/report.h"
#include "kit/tunables.h"

#define LARGE (SMALL_MAX + 100)
#define BLOCKS 400

static unsigned told[8];
static char *blocks[BLOCKS];

static void count(enum mcheck_status status) {
    told[status + 2]++;
}

/* So many faults since the last time, all of this status. */
static void expect_told(enum mcheck_status status, unsigned times) {
    for (int i = 0; i < 8; i++) {
        unsigned wanted = i == (int)status + 2 ? times : 0;
        cr_assert_eq(told[i], wanted, "status %d: told %u times, not %u", i - 2, told[i], wanted);
    }
    memset(told, 0, sizeof told);
}

static void expect_quiet(void) {
    expect_told(MCHECK_OK, 0);
}

static void begin(void) {
    cr_assert(hardened_start());
    modes_active = MODE_HARDENED;
    fault_set_handler(count);
    stacks_capture(); /* what the store takes at its first use is no part of what the tests count */
}

TestSuite(harden, .init = begin);

static void expect_sound(size_t live) {
    struct protection_totals totals;
    struct walk walk = {0};
    protections_walk(&walk);
    protections_count(MODE_HARDENED, &totals);
    cr_assert_eq(walk.broken, 0, "%zu broken", walk.broken);
    cr_assert_eq(totals.blocks, live, "%zu blocks, not %zu", totals.blocks, live);
}

static void *alloc(size_t bytes, size_t align, const char *call) {
    bool zeroed, plain;
    void *p = protections_alloc(bytes, align, &zeroed, call, &plain);
    cr_assert_not(plain);
    return p;
}

static void *from(const struct protection *row, size_t bytes) {
    bool zeroed;
    return row->alloc(bytes, BLOCK_ALIGN, &zeroed, "malloc");
}

static bool owns(const void *p) {
    return hardened_small_protection.owns(p) || hardened_mapped_protection.owns(p);
}

static void free_it(void *p, const char *call, size_t bytes, size_t align) {
    judge_free(protections_of(p), p, call, bytes, align);
}

static char *get(size_t bytes) {
    char *p = alloc(bytes, BLOCK_ALIGN, "malloc");
    cr_assert_not_null(p);
    cr_assert(owns(p));
    return p;
}

static void put(void *p) {
    judge_free(protections_of(p), p, "free", SIZE_MAX, 0);
}

/* ---- the start --------------------------------------------------------------------------------------------------- */

/* The n-th call is refused: there are ranges, smaller ones perhaps, or there is nothing. */
static void start_refused(int nth, bool starts) {
    size_t taken = budget_taken();
    os_fake_refuse_nth = nth;
    cr_assert_eq(ranges_start(), starts);
    cr_assert_eq(os_fake_refuse_nth, 0, "only %d calls fewer than %d", os_fake_refuse_nth, nth);
    cr_assert_eq(range_plan != NULL, starts);
    if (!starts) {
        cr_assert_eq(budget_taken(), taken);
        cr_assert(ranges_start());
    }
    cr_assert_geq(range_plan->bytes, 256 * KIB);
    cr_assert_not_null(from(&hardened_small_protection, 100));
}

Test(hardened_start, plan_reserve_refused) {
    start_refused(1, false);
}

Test(hardened_start, plan_commit_refused) {
    start_refused(2, false);
}

Test(hardened_start, rooms_refused) {
    start_refused(3, true);
}

Test(hardened_start, records_refused) {
    start_refused(4, true);
}

Test(hardened_start, states_reserve_refused) {
    start_refused(5, true);
}

Test(hardened_start, states_commit_refused) {
    start_refused(6, true);
}

Test(hardened_start, seal_refused) {
    start_refused(7, false);
}

Test(hardened_start, begins_once) {
    os_fake_refuse_map = 1;
    cr_assert_not(hardened_start());
    os_fake_refuse_map = 0;
    cr_assert_not(hardened_start());
    cr_assert_null(range_plan);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

/* Without `another_way` some single refusals are refusals of the block. */
static void alloc_refused(size_t bytes, bool another_way) {
    struct protection_totals before, after;
    size_t got = 0, refused = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t taken = budget_taken();
        protections_count(MODE_HARDENED, &before);
        os_fake_refuse_nth = 1 + (int)(i % 5);
        blocks[got] = from(bytes >= LARGE ? &hardened_mapped_protection : &hardened_small_protection, bytes);
        os_fake_refuse_nth = 0;
        if (blocks[got] != NULL) {
            memset(blocks[got], 0xa5, bytes);
            got++;
            continue;
        }
        protections_count(MODE_HARDENED, &after);
        cr_assert_eq(before.blocks, after.blocks);
        cr_assert_eq(before.bytes, after.bytes);
        cr_assert_leq(budget_taken(), taken + 64 * KIB); /* records may have grown */
        refused++;
    }
    cr_assert_geq(got, BLOCKS / 4);
    cr_assert_eq(refused == 0, another_way, "%zu refused", refused);
    expect_sound(got);
    protections_check("check");
    for (size_t i = 0; i < got; i++)
        put(blocks[i]);
    expect_quiet();
    expect_sound(0);
}

Test(harden, small_refused_one_by_one) {
    alloc_refused(3000, false);
}

Test(harden, large_refused_one_by_one) {
    alloc_refused(LARGE, true);
}

Test(harden, large_refused_where_there_are_no_places) {
    os_fake_no_places = true;
    alloc_refused(LARGE, false);
}

/* Blocks of a place, and others where none is given: both are found, told and given back. */
Test(harden, large_with_and_without_places) {
    for (size_t i = 0; i < BLOCKS; i++) {
        os_fake_no_places = i % 2 == 1;
        blocks[i] = get(LARGE + i);
        memset(blocks[i], 1, LARGE + i);
    }
    expect_sound(BLOCKS);
    for (size_t i = 0; i < BLOCKS; i++)
        put(blocks[i]);
    expect_sound(0);
    protections_trim(true);
    expect_sound(0);
    put(blocks[0]); /* nothing is known of it any more */
    expect_told(MCHECK_HEAD, 1);
}

Test(harden, all_refused) {
    os_fake_refuse_map = 1;
    cr_assert_null(alloc(100, BLOCK_ALIGN, "malloc"));
    cr_assert_null(alloc(LARGE, BLOCK_ALIGN, "malloc"));
    expect_sound(0);
    os_fake_refuse_map = 0;
    put(get(100));
    put(get(LARGE));
    expect_sound(0);
}

Test(harden, the_limit_is_kept) {
    size_t got = 0;
    put(get(LARGE));
    tunables.limit = budget_taken() + 256 * KIB;
    while (got < BLOCKS && (blocks[got] = alloc(16 * KIB, BLOCK_ALIGN, "malloc")) != NULL)
        got++;
    cr_assert_lt(got, 17);
    cr_assert_null(alloc(LARGE, BLOCK_ALIGN, "malloc"));
    cr_assert_leq(budget_taken(), tunables.limit);
    expect_sound(got);
}

Test(harden, too_large) {
    cr_assert_null(alloc(SIZE_LIMIT, BLOCK_ALIGN, "malloc"));
    cr_assert_null(alloc(SIZE_LIMIT / 2, BLOCK_ALIGN, "malloc"));
    cr_assert_null(alloc(16, SIZE_LIMIT / 2, "memalign"));
    expect_sound(0);
}

/* Pages of freed blocks stay when the OS takes none, and are given back later. */
static void give_back_refused(size_t bytes) {
    size_t empty = budget_taken();
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = get(bytes);
    os_fake_refuse_map = os_fake_refuse_unmap = 1;
    for (size_t i = 0; i < BLOCKS; i++)
        put(blocks[i]);
    protections_trim(true);
    expect_sound(0);
    os_fake_refuse_map = os_fake_refuse_unmap = 0;
    protections_trim(true);
    expect_sound(0);
    cr_assert_leq(budget_taken(), empty + 256 * KIB);
    expect_quiet();
    put(get(bytes));
}

Test(harden, giving_small_back_refused) {
    give_back_refused(3000);
}

Test(harden, giving_large_back_refused) {
    give_back_refused(LARGE);
}

/* What the OS does not unmap stays known as freed. */
Test(harden, large_that_stays_is_freed) {
    char *p = get(LARGE);
    os_fake_refuse_unmap = 1;
    put(p);
    protections_trim(true);
    cr_assert(owns(p));
    put(p);
    expect_told(MCHECK_FREE, 1);
    expect_sound(0);
}

Test(harden, trim_gives_memory_back) {
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = get(1000);
    for (size_t i = 0; i < BLOCKS; i++)
        put(blocks[i]);
    cr_assert_gt(protections_trim(true), (size_t)100 * 1000);
    struct protection_totals totals;
    protections_count(MODE_HARDENED, &totals);
    cr_assert_eq(totals.taken, 0);
    expect_sound(0);
}

/* Records of slabs that are gone are given back when memory is short. */
Test(harden, trim_gives_records_back) {
    enum { MANY = 100000 };
    static char *many[MANY];
    put(get(24));
    protections_trim(true);
    size_t before = budget_own();
    for (size_t i = 0; i < MANY; i++)
        many[i] = get(24);
    size_t full = budget_own();
    for (size_t i = 0; i < MANY; i++)
        if (i != MANY / 2)
            put(many[i]);
    protections_trim(true);
    cr_assert_gt(full - before, MANY * 24);
    cr_assert_lt(budget_own(), full - (full - before) / 3, "%zu of %zu", budget_own() - before, full - before);
    expect_sound(1);
    put(many[MANY / 2]);
    put(many[MANY / 2]);
    expect_told(MCHECK_FREE, 1);
    protections_trim(true);
    cr_assert_leq(budget_own(), before);
    for (size_t i = 0; i < 1000; i++)
        many[i] = get(24);
    expect_sound(1000);
    for (size_t i = 0; i < 1000; i++)
        put(many[i]);
    expect_sound(0);
    expect_quiet();
}

Test(harden, giving_records_back_refused) {
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = get(1000);
    for (size_t i = 0; i < BLOCKS; i++)
        put(blocks[i]);
    os_fake_refuse_unmap = 1;
    protections_trim(true);
    os_fake_refuse_unmap = 0;
    put(get(1000));
    expect_sound(0);
    protections_trim(true);
    put(get(1000));
    expect_sound(0);
    expect_quiet();
}

/* ---- misuses ----------------------------------------------------------------------------------------------------- */

static const size_t SIZES[] = {0, 24, 1000, LARGE};
#define EACH_SIZE(bytes) for (size_t bytes, at_ = 0; at_ < sizeof SIZES / sizeof *SIZES && (bytes = SIZES[at_], true); at_++)

Test(harden, freed_twice_and_used_freed) {
    size_t size;
    EACH_SIZE (bytes) {
        char *p = get(bytes);
        put(p);
        put(p);
        expect_told(MCHECK_FREE, 1);
        cr_assert_not(judge_size(protections_of(p), p, "realloc", &size));
        expect_told(MCHECK_FREE, 1);
        cr_assert_eq(judge_probe(protections_of(p), p, "mprobe"), MCHECK_FREE);
        expect_told(MCHECK_FREE, 1);
    }
    expect_sound(0);
}

Test(harden, no_start_of_a_block) {
    size_t size;
    for (size_t i = 1; i < sizeof SIZES / sizeof *SIZES; i++) {
        char *p = get(SIZES[i]);
        put(p + 8);
        expect_told(MCHECK_HEAD, 1);
        cr_assert_not(judge_size(protections_of(p + 8), p + 8, "realloc", &size));
        expect_told(MCHECK_HEAD, 1);
        cr_assert_eq(judge_probe(protections_of(p + 8), p + 8, "mprobe"), MCHECK_HEAD);
        expect_told(MCHECK_HEAD, 1);
        cr_assert_eq(judge_probe(protections_of(p), p, "mprobe"), MCHECK_OK);
        put(p);
        expect_quiet();
    }
    /* where no slab has been opened */
    put((void *)(uintptr_t)range_plan->start);
    expect_told(MCHECK_HEAD, 1);
    expect_sound(0);
}

Test(harden, written_behind) {
    for (size_t i = 1; i < sizeof SIZES / sizeof *SIZES; i++) {
        char *p = get(SIZES[i]);
        p[SIZES[i]] ^= 1;
        cr_assert_eq(judge_probe(protections_of(p), p, "mprobe"), MCHECK_TAIL);
        expect_told(MCHECK_TAIL, 1);
        put(p);
        expect_told(MCHECK_TAIL, 1);
    }
    expect_sound(0);
}

Test(harden, written_before_large) {
    char *p = get(LARGE);
    cr_assert_neq((uintptr_t)p % OS_PAGE, 0);
    p[-1] ^= 1;
    protections_trim(false);
    cr_assert_eq(judge_probe(protections_of(p), p, "mprobe"), MCHECK_HEAD);
    put(p);
    expect_told(MCHECK_HEAD, 2);
}

Test(harden, written_after_free) {
    char *p = get(1000);
    put(p);
    p[10] = 1;
    protections_trim(true);
    expect_told(MCHECK_FREE, 1);
    protections_trim(true);
    protections_check("check");
    expect_quiet();
    expect_sound(0);
}

Test(harden, wrong_size_alignment_and_family) {
    for (size_t i = 1; i < sizeof SIZES / sizeof *SIZES; i++) {
        free_it(get(SIZES[i]), "free_sized", SIZES[i] + 1, 0);
        expect_told(MCHECK_HEAD, 1);
        free_it(get(SIZES[i]), "free_aligned_sized", SIZES[i], 64);
        expect_told(MCHECK_HEAD, 1);
        free_it(get(SIZES[i]), "operator delete", SIZE_MAX, 0);
        expect_told(MCHECK_HEAD, 1);
        free_it(get(SIZES[i]), "free_sized", SIZES[i], 0);
        expect_quiet();
    }
    expect_sound(0);
}

/* Looking at all finds what no call has met. Without a handler each fault is told once, here into nothing: what is told
 * after that is new. */
Test(harden, check_tells_each_once) {
    for (size_t i = 0; i < 8; i++) {
        blocks[i] = get(i < 4 ? 1000 : LARGE);
        blocks[i][i < 4 ? 1000 : LARGE] ^= 1;
    }
    fault_set_handler(NULL);
    report_set_action(0);
    protections_check("check");
    fault_set_handler(count);
    protections_check("check");
    expect_quiet();
    for (size_t i = 0; i < 8; i++)
        cr_assert_eq(judge_probe(protections_of(blocks[i]), blocks[i], "mprobe"), MCHECK_TAIL);
    expect_told(MCHECK_TAIL, 8);
}

Test(harden, shrinks_where_it_is) {
    for (size_t i = 2; i < sizeof SIZES / sizeof *SIZES; i++) {
        size_t size;
        char *p = get(SIZES[i]);
        judge_shrink(protections_of(p), p, 10, "realloc");
        cr_assert(judge_size(protections_of(p), p, "realloc", &size));
        cr_assert_eq(size, 10);
        expect_sound(1);
        p[10] ^= 1;
        cr_assert_eq(judge_probe(protections_of(p), p, "mprobe"), MCHECK_TAIL);
        p[10] ^= 1;
        expect_told(MCHECK_TAIL, 1);
        judge_free(protections_of(p), p, "free_sized", 10, 0);
        expect_quiet();
    }
    expect_sound(0);
}

Test(harden, after_a_fork) {
    char *p = get(100), *q = get(LARGE);
    lock_set_acquire(&range_locks, NULL);
    lock_set_acquire(&hardened_mapped_locks, NULL);
    lock_set_release(&range_locks);
    lock_set_release(&hardened_mapped_locks);
    lock_set_acquire(&range_locks, NULL);
    lock_set_acquire(&hardened_mapped_locks, NULL);
    random_locks.child();
    lock_set_reset(&hardened_mapped_locks, NULL);
    lock_set_reset(&range_locks, NULL);
    put(p);
    put(q);
    put(get(100));
    expect_quiet();
    expect_sound(0);
}
