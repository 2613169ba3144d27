/* SPDX-License-Identifier: MIT */
/* What a second thread finds while a first one is between two states of a structure, and holds no lock: an OS layer that the
 * test directs calls back in the middle. The second is refused, and nothing is lost. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "kit/budget.h"
#include "kit/environment.h"
#include "kit/lock.h"
#include "heap/aside.h"
#include "heap/mapped.h"
#include "heap/plain.h"
#include "heap/region.h"
#include "heap/span.h"
#include "heap/span_free.h"
#include "os_fake.h"
#include "spans.h"

#define UNITS_AT_ONCE (32 * MIB / UNIT) /* from so much on a block is purged when it is freed */

static struct span *subject;
static char *start;
static int came;

static void check(void) {
    struct walk walk = {0};
    span_walk(&walk);
    mapped_walk(&walk);
    cr_assert_eq(walk.broken, 0);
}

/* Frees, resizes, looks for and takes what is being purged. */
static void meddle(void) {
    came++;
    os_fake_while_purging = NULL;
    size_t units;
    cr_expect_eq(subject->state, SPAN_HELD);
    cr_expect_null(span_find(start));
    cr_expect(!span_release_large(subject), "it is freed already");
    cr_expect(!span_try_resize(subject, 1));
    cr_expect(!span_try_hold(subject, &units));
    cr_expect_eq(plain_usable(start), 0);
    struct span *other = large(1);
    cr_expect(span_address(other) < start || span_address(other) >= start + ((size_t)subject->units << UNIT_SHIFT));
    span_release(other);
    check();
}

/* What is counted of the heap is what there is, also while some is on its way to the OS, or a block grows. */
static size_t units_counted(void) {
    struct span_totals totals;
    struct region_totals held;
    size_t unused, top;
    span_count(&totals, &held, &unused, &top);
    return totals.free + totals.small + totals.large + (unused >> UNIT_SHIFT);
}

static size_t counted_meanwhile;

static void count_meanwhile(void) {
    os_fake_while_purging = NULL;
    counted_meanwhile = units_counted();
}

Test(between, counted_meanwhile) {
    struct span *span = large(100), *end = large(1);
    size_t before = units_counted(), units;
    memset(span_address(span), 1, 100 * UNIT);
    cr_assert(span_try_hold(span, &units));
    cr_expect_eq(units_counted(), before, "a block that one thread works on");
    span_unhold(span, false);
    span_release_large(span);
    os_fake_while_purging = count_meanwhile;
    cr_expect_gt(span_purge(SIZE_MAX / 2), 0);
    cr_expect_eq(counted_meanwhile, before, "a piece that is given back");
    span_release(end);
}

Test(between, freed_twice_by_two_threads) {
    struct span *span = large(3), *end = large(1);
    cr_expect(span_release_large(span));
    cr_expect(!span_release_large(span), "the second thread had found it before the first freed it");
    check();
    span_release(end);
    check();
}

Test(between, freed_and_taken_for_small_blocks_meanwhile) {
    struct span *span = large(1), *end = large(1);
    span_release(span);
    struct span *small = span_acquire_small(class_of(64), false);
    cr_assert_eq(small, span, "the same units");
    cr_expect(!span_release_large(span), "the late free leaves the small blocks alone");
    check();
    span_release(end);
}

Test(between, a_large_block_that_is_purged_when_it_is_freed) {
    subject = large(UNITS_AT_ONCE);
    start = span_address(subject);
    struct span *end = large(1);
    memset(start, 1, 100);
    os_fake_while_purging = meddle;
    cr_expect(span_release_large(subject));
    cr_expect_eq(came, 1);
    check();
    cr_expect_eq(start[0], 0);
    span_release(end);
}

Test(between, a_free_span_that_is_purged_by_age) {
    subject = large(100);
    start = span_address(subject);
    struct span *end = large(1);
    memset(start, 1, 100);
    span_release(subject);
    os_fake_while_purging = meddle;
    cr_expect_gt(span_purge(0), 0);
    cr_expect_eq(came, 1);
    check();
    span_release(end);
}

/* In a forked child: what the threads that are gone held is free, or still the program's block; what this one holds stays. */
static void fork_in_between(void) {
    os_fake_while_purging = NULL;
    span_locks.forked();
    cr_expect_eq(subject->state, SPAN_HELD, "it is this thread's");
    came++;
}

Test(between, forked_while_this_thread_purges) {
    subject = large(UNITS_AT_ONCE);
    os_fake_while_purging = fork_in_between;
    cr_expect(span_release_large(subject));
    cr_expect_eq(came, 1);
    check();
}

Test(between, forked_while_others_hold_spans) {
    size_t units;
    struct span *moving = large(5), *end = large(1), *purged = large(7), *last = large(1);
    cr_assert(span_try_hold(moving, &units) && units == 5);
    cr_assert(span_try_hold(purged, &units) && units == 7);
    check();
    moving->holder = purged->holder = &units; /* another thread */
    purged->listed = false;
    span_locks.forked();
    cr_expect_eq(moving->state, SPAN_LARGE);
    cr_expect_eq(purged->state, SPAN_FREE);
    check();
    span_release(moving), span_release(end), span_release(last);
    check();
}

Test(between, a_block_whose_pages_move) {
    size_t units;
    struct span *span = large(4), *end = large(1);
    cr_assert(span_try_hold(span, &units));
    cr_expect(!span_release_large(span));
    cr_expect_null(plain_large_span(span_address(span)));
    span_unhold(span, false);
    check();
    cr_expect_eq(plain_large_span(span_address(span)), span);
    cr_assert(span_try_hold(span, &units));
    span_unhold(span, true);
    check();
    cr_expect(!span_release_large(span));
    span_release(end);
}

/* ---- mappings ----------------------------------------------------------------------------------------------------- */

static char *mapping;

static void free_it(void) {
    os_fake_while_remapping = NULL;
    cr_expect(!mapped_free(mapping), "it is away");
    cr_expect_null(mapped_resize(mapping, 9 * MIB));
    cr_expect_eq(mapped_bytes(mapping), 0);
    cr_expect_eq(mapped_totals.count, 0);
    came++;
}

Test(between, a_mapping_that_is_resized) {
    bool zeroed;
    mapping = mapped_alloc(MIB, OS_PAGE, &zeroed);
    os_fake_while_remapping = free_it;
    char *moved = mapped_resize(mapping, 2 * MIB);
    cr_assert_not_null(moved);
    cr_expect_eq(came, 1);
    check();
    cr_expect(mapped_free(moved) && !mapped_free(moved));
    cr_expect_null(mapped_resize(moved, 3 * MIB), "it is gone");
    cr_expect_eq(mapped_totals.count, 0);
    check();
}

/* ---- the break ---------------------------------------------------------------------------------------------------- */

static int intrusions;

static void intrude(intptr_t delta) {
    if (delta > 0 && intrusions > 0) {
        intrusions--;
        os_fake_foreign_break(100);
    }
}

/* Each growth of the heap leaps over a hole, as often as somebody else has moved the break; what lay before it is free. */
Test(between, others_move_the_break_again_and_again) {
    for (int times = 1; times <= 4; times++) {
        struct span *first = large(10);
        os_fake_foreign_break(UNIT + 100); /* the first leap */
        intrusions = times;                /* and more while it is made */
        os_fake_after_break = intrude;
        struct span *span = large(3000);
        os_fake_after_break = NULL;
        check();
        cr_expect_eq(span->units, 3000);
        span_release(span), span_release(first);
        check();
        size_t held = span_totals.free + span_totals.small + span_totals.large;
        cr_expect_leq(held, regions[0].frontier + regions[1].frontier);
    }
}

static uintptr_t third;

static void third_party(intptr_t delta) {
    if (delta < 0 || intrusions == 0)
        return;
    intrusions = 0;
    third = os_fake_break();
    os_fake_foreign_break(3 * UNIT);
    memset((void *)third, 7, 3 * UNIT);
}

static bool third_is_whole(void) {
    for (size_t i = 0; i < 3 * UNIT; i++)
        if (((char *)third)[i] != 7)
            return false;
    return os_fake_break() >= third + 3 * UNIT;
}

/* The heap has moved the break and cannot use what it got; meanwhile somebody else has memory behind it. */
Test(between, the_break_is_not_moved_back_over_what_others_have) {
    span_release(large(1));
    intrusions = 1;
    os_fake_after_break = third_party;
    os_fake_refuse_map = 1; /* nothing can be written down of the new units */
    bool zeroed;
    cr_expect_null(span_acquire_large(5000, UNIT, &zeroed));
    os_fake_refuse_map = 0;
    os_fake_after_break = NULL;
    cr_assert_neq(third, 0);
    cr_expect(third_is_whole());
    check();
}

static void third_party_first(intptr_t delta) {
    if (delta > 0 && intrusions > 0) {
        intrusions = 0;
        os_fake_foreign_break(1000);
        os_fake_after_break = third_party;
        intrusions = 1;
    }
}

Test(between, somebody_else_moves_the_break_before_and_behind_ours) {
    span_release(large(1));
    intrusions = 1;
    os_fake_before_break = third_party_first;
    struct span *span = large(5000);
    os_fake_before_break = os_fake_after_break = NULL;
    cr_assert_not_null(span);
    cr_expect(third != 0 && third_is_whole());
    check();
}

/* ---- the environment ----------------------------------------------------------------------------------------------- */

Test(between, options_that_are_being_set) {
    char *variables[] = {"MYALLOC_OPTIONS=top_pad:7k", NULL}, **real = environ;
    environ = variables;
    size_t before = tunables.top_pad;
    environment_state = ENVIRONMENT_BEING_SET; /* by another thread */
    environment_read();
    cr_expect_eq(environment_state, ENVIRONMENT_BEING_SET, "not read for us yet");
    cr_expect_eq(tunables.top_pad, before);
    environment_locks.forked(); /* in a child without that thread */
    environment_read();
    environ = real;
    cr_expect_eq(environment_state, ENVIRONMENT_READ);
    cr_expect_eq(tunables.top_pad, 7168);
}

/* ---- served apart -------------------------------------------------------------------------------------------------- */

Test(between, blocks_set_aside) {
    enum { COUNT = 2000 };
    static char *blocks[COUNT];
    size_t taken = budget_taken();
    aside_begin();
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = aside_alloc(i * 7, (size_t)16 << i % 9);
        cr_assert_not_null(blocks[i]);
        cr_assert_eq((uintptr_t)blocks[i] % ((size_t)16 << i % 9), 0);
        for (size_t k = 0; k < i * 7; k++)
            cr_assert_eq(blocks[i][k], 0);
        memset(blocks[i], 0xff, i * 7);
    }
    aside_end();
    cr_expect(!aside_is_on());
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(aside_bytes(blocks[i]), max_size(i * 7, 1));
        cr_assert_eq(plain_usable(blocks[i]), max_size(i * 7, 1));
        cr_assert_eq(plain_start(blocks[i]), blocks[i]);
        cr_assert_eq(i * 7 > 32 ? aside_bytes(blocks[i] + 16) : 0, 0, "no start of a block");
    }
    plain_free(blocks[5], "free"); /* dropped, and no fault */
    cr_expect_eq(aside_bytes(&taken), 0);
    cr_expect_gt(budget_taken(), taken);
    cr_expect_null(aside_alloc(SIZE_MAX, 16));
    os_fake_refuse_map = 1;
    cr_expect_null(aside_alloc(10 * MIB, 16));
    os_fake_refuse_map = 0;
    check();
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */

static void *try_turn(void *turn) {
    return turn_try(turn) ? turn : NULL;
}

static void *be_forked(void *turn) {
    turn_forked(turn);
    return NULL;
}

static void *in_another_thread(void *(*what)(void *), void *with) {
    pthread_t thread;
    void *result;
    cr_assert_eq(pthread_create(&thread, NULL, what, with), 0);
    cr_assert_eq(pthread_join(thread, &result), 0);
    return result;
}

Test(turn, one_thread_has_it_until_it_ends_or_is_gone) {
    static struct turn turn;
    cr_assert(turn_try(&turn));
    cr_expect_not(turn_try(&turn), "a signal's handler goes on without");
    cr_expect_null(in_another_thread(try_turn, &turn));
    turn_forked(&turn);
    cr_expect_null(in_another_thread(try_turn, &turn), "the thread that forked has it still");
    in_another_thread(be_forked, &turn);
    cr_expect(turn_try(&turn), "one that is gone has it no more");
    turn_end(&turn);
    cr_expect_eq(in_another_thread(try_turn, &turn), &turn);
}
