/* SPDX-License-Identifier: MIT */
/* How much free memory may be dirty, whatever its age: a part of what is in use, what is learned and forgotten, credit. */
#include <criterion/criterion.h>
#include <string.h>

#include "heap/decay.h"
#include "heap/span.h"
#include "heap/span_amount.h"
#include "heap/span_free.h"
#include "kit/tunables.h"
#include "os_fake.h"
#include "spans.h"

enum { LEAST = 2048, PART = LEAST / 8 }; /* units: 32 MiB, and how much beyond it is worth a call */
enum { CREDIT_MOST = 262144 };           /* units: 4 GiB */

/* As many units are dirty and in use as the test wants. */
static void set_totals(size_t dirty, size_t small, size_t large_units) {
    span_totals.free_dirty = dirty;
    span_totals.small = small;
    span_totals.large = large_units;
}

/* What would be given back, if it were. */
static size_t excess(void) {
    size_t units = span_amount_take_excess_locked();
    span_amount_given_locked(units, 0);
    return units;
}

static void have_credit(void) {
    os_fake_clock += 10000;
}

TestSuite(amount, .init = have_credit);

Test(amount, what_is_not_worth_a_call_stays) {
    set_totals(LEAST, 0, 0);
    cr_assert_eq(excess(), 0);
    set_totals(LEAST + PART, 0, 0);
    cr_assert_eq(excess(), 0);
    set_totals(LEAST + PART + 1, 0, 0);
    cr_assert_eq(excess(), PART + 1);
}

Test(amount, a_quarter_of_what_is_in_use_stays) {
    set_totals(10000 + 1250, 30000, 10000);
    cr_assert_eq(excess(), 0);
    set_totals(10000 + 1251, 30000, 10000);
    cr_assert_eq(excess(), 1251);
    set_totals(10000 + 1251, 30000, 10400); /* more in use */
    cr_assert_eq(excess(), 0);
    set_totals(LEAST + PART + 1, 4 * LEAST - 1, 0); /* a quarter that is less than the least */
    cr_assert_eq(excess(), PART + 1);
}

Test(amount, no_more_goes_than_there_is_credit_for) {
    set_totals(60000, 60000 / 8 + 1, 0);
    size_t units = excess();
    cr_assert_eq(units, os_fake_clock, "a unit for each ms of the process's so far");
    span_amount_given_locked(0, units);
    cr_assert_eq(excess(), 0);
    os_fake_clock += PART - 1;
    cr_assert_eq(excess(), 0, "not worth a call yet");
    os_fake_clock += 1;
    cr_assert_eq(excess(), PART);
    os_fake_clock += (uint64_t)1 << 40;
    set_totals(2 * CREDIT_MOST, 2 * CREDIT_MOST, 0);
    cr_assert_eq(excess(), CREDIT_MOST, "it does not grow for ever");
    span_amount_given_locked(0, 3 * CREDIT_MOST);
    cr_assert_eq(excess(), 0, "nor does it wrap");
}

Test(amount, nothing_goes_where_nothing_is_trimmed) {
    set_totals(20000, 8000, 0);
    tunables.trim_threshold = SIZE_MAX;
    cr_assert_eq(excess(), 0);
    tunables.trim_threshold = SIZE_LIMIT;
    cr_assert_gt(excess(), 0);
}

Test(amount, two_threads_do_not_give_the_same) {
    set_totals(20000, 8000, 0); /* not emptied */
    os_fake_clock = 10000 + 5000;
    size_t first = span_amount_take_excess_locked();
    cr_assert_eq(first, 15000);
    cr_assert_eq(span_amount_take_excess_locked(), 0);
    set_totals(20000 - 15000, 8000, 0);
    span_amount_given_locked(first, 15000);
    cr_assert_eq(excess(), 0);
    set_totals(20000, 8000, 0);
    cr_assert_eq(excess(), 0, "there is no credit left");
    os_fake_clock += 4000;
    first = span_amount_take_excess_locked();
    cr_assert_eq(first, 4000);
    span_amount_given_locked(first, 0); /* the OS has refused */
    cr_assert_eq(span_amount_take_excess_locked(), 4000);
    span_amount_forked();
    cr_assert_eq(excess(), 4000, "in a child nobody gives what another thread was about to");
}

Test(amount, an_emptied_heap_goes_once_without_credit) {
    size_t credit = os_fake_clock, whole = 100000, used = 8000, dirty = whole - used;
    span_totals.free = dirty;
    set_totals(dirty, used, 0);
    cr_assert_eq(excess(), dirty - used / 4);
    span_amount_given_locked(0, credit + 60000);
    cr_assert_eq(excess(), whole - 60000, "in all no more than the heap has");
    span_amount_given_locked(0, whole - 60000);
    cr_assert_eq(excess(), 0);
    os_fake_clock += PART;
    cr_assert_eq(excess(), PART, "then time has to pay for it again");
    span_amount_given_locked(0, PART);
    span_totals.free += 5000;
    cr_assert_eq(excess(), 5000, "or more of a heap");
}

Test(amount, of_a_large_heap_that_was_emptied_only_a_mebibyte_stays) {
    enum { MEBIBYTE = 64, LARGE = 4 * LEAST };
    span_totals.free = LARGE - 1;
    set_totals(LEAST + PART + 1, 0, 0);
    cr_assert_eq(excess(), PART + 1, "it was not that large");
    span_totals.free = LARGE;
    cr_assert_eq(excess(), LEAST + PART + 1 - MEBIBYTE);
    span_totals.free = 2 * MEBIBYTE + 1; /* what went at the top has left the heap */
    set_totals(2 * MEBIBYTE, 0, 0);
    cr_assert_eq(excess(), 0, "not worth a call");
    set_totals(2 * MEBIBYTE + 1, 0, 0);
    cr_assert_eq(excess(), MEBIBYTE + 1);
    set_totals(2 * MEBIBYTE + 1, MEBIBYTE, 0);
    cr_assert_eq(excess(), 0, "it is in use again");
}

Test(amount, a_heap_of_which_more_than_an_eighth_is_in_use_was_not_emptied) {
    size_t dirty = 64000;
    span_totals.free = dirty;
    set_totals(dirty, dirty / 8 + 1, 0);
    cr_assert_eq(excess(), os_fake_clock);
    set_totals(dirty, dirty / 8, 0);
    cr_assert_gt(excess(), os_fake_clock);
}

/* What may stay beside the least, by how much is told to go. */
static size_t learned(void) {
    os_fake_clock += (uint64_t)1 << 30; /* so that credit is enough; nothing is wanted any more afterwards */
    set_totals(LEAST + 100000, 0, 0);
    return 100000 - excess();
}

Test(amount, what_is_wanted_back_soon_is_learned) {
    struct span *clean = large(400);
    cr_assert_eq(learned(), 0);
    span_amount_wanted_locked(&regions[0], span_index(clean), 400);
    cr_assert_eq(learned(), 0, "nothing was given");
    span_amount_given_locked(0, 1000);
    os_fake_clock += 1000;
    span_amount_wanted_locked(&regions[0], span_index(clean), 400);
    span_amount_wanted_locked(&regions[0], span_index(clean), 300);
    cr_assert_eq(learned(), 700);
    span_amount_given_locked(0, 100);
    span_amount_wanted_locked(&regions[0], span_index(clean), 400);
    cr_assert_eq(learned(), 800 + 300, "of the first 300 are still given, and those 100 too");
}

Test(amount, who_wants_it_back_slowly_is_learned_from) {
    struct span *clean = large(400);
    span_amount_given_locked(0, 1000);
    for (int i = 0; i < 3; i++) {
        os_fake_clock += 900; /* after what was wanted before */
        span_amount_wanted_locked(&regions[0], span_index(clean), 300);
    }
    cr_assert_eq(learned(), 900);
    os_fake_clock += 1001;
    span_amount_wanted_locked(&regions[0], span_index(clean), 100);
    cr_assert_eq(learned(), 900);
}

Test(amount, what_is_wanted_back_late_is_not) {
    struct span *clean = large(400);
    span_amount_given_locked(0, 1000);
    os_fake_clock += 1001;
    span_amount_wanted_locked(&regions[0], span_index(clean), 400);
    os_fake_clock -= 1001; /* and it is forgotten */
    span_amount_wanted_locked(&regions[0], span_index(clean), 400);
    cr_assert_eq(learned(), 0);
}

Test(amount, dirty_units_are_not_those_that_were_given) {
    struct span *taken = large(400), *end = large(1);
    size_t first = span_index(taken);
    span_release(taken);
    span_amount_given_locked(0, 1000);
    span_amount_wanted_locked(&regions[0], first, 400);
    cr_assert_eq(learned(), 0);
    cr_assert_not_null(end);
}

Test(amount, what_stays_in_vain_is_forgotten) {
    struct span *clean = large(1000);
    span_amount_given_locked(0, 1000);
    span_amount_wanted_locked(&regions[0], span_index(clean), 1000);
    span_amount_forget_locked(300);
    cr_assert_eq(learned(), 700);
    span_amount_forget_locked(701);
    cr_assert_eq(learned(), 0);
}

/* ---- the whole: a program that goes up and down -------------------------------------------------------------------- */

enum { SPANS = 40, UNITS = 200 }; /* 125 MiB, in spans that are not given back when they are freed for their size */
static struct span *spans[SPANS];

static void go_up(void) {
    for (size_t i = 0; i < SPANS; i++) {
        spans[i] = large(UNITS);
        memset(span_address(spans[i]), 1, UNIT);
    }
}

static size_t go_down(void) {
    size_t before = os_fake_purged;
    for (size_t i = 0; i < SPANS; i++)
        span_release(spans[i]);
    return (os_fake_purged - before) >> UNIT_SHIFT;
}

Test(amount, who_goes_up_and_down_pays_once_and_who_stays_down_holds_little) {
    have_credit();
    struct span *below = large(1);
    go_up();
    struct span *above = large(1);
    size_t given = go_down();
    cr_assert_geq(given, SPANS * UNITS - LEAST - LEAST / 8 - 1);
    cr_assert_leq(span_totals.free_dirty, LEAST + LEAST / 8 + 1);
    for (int i = 0; i < 3; i++) {
        os_fake_clock += 500;
        go_up();
        cr_assert_eq(go_down(), 0, "round %d: it was learned that this is wanted back", i);
    }
    for (int i = 0; i < 400; i++) {
        os_fake_clock += 10;
        decay_look(os_fake_clock);
    }
    cr_assert_eq(span_totals.free_dirty, 0, "it was in vain");
    go_up();
    cr_assert_gt(go_down(), 0, "so it is paid once more");
    cr_assert_not_null(below);
    cr_assert_not_null(above);
}

enum { FIRST = 28, MEANWHILE = 11, PURGES = 3 }; /* of so many spans, in pieces of PIECE_UNITS */
static int purges;

/* As another thread would, when this one has given back all that it was to: too little beside that for a call of its own. */
static void free_more_at_last(void) {
    if (++purges != PURGES)
        return;
    os_fake_while_purging = NULL;
    for (size_t i = FIRST; i < FIRST + MEANWHILE; i++)
        span_release(spans[i]);
}

Test(amount, what_others_free_meanwhile_is_not_left_behind) {
    go_up();
    struct span *above = large(1);
    for (size_t i = 0; i < FIRST - 1; i++) {
        span_release(spans[i]);
        span_amount_given_locked(0, 2 * (size_t)CREDIT_MOST); /* nothing may go yet */
    }
    cr_assert_gt(span_totals.free_dirty, 2 * LEAST);
    os_fake_clock += 20000;
    os_fake_while_purging = free_more_at_last;
    span_release(spans[FIRST - 1]);
    cr_assert_null(os_fake_while_purging, "they came after %d purges", purges);
    cr_assert_leq(span_totals.free_dirty, LEAST + LEAST / 8 + 1);
    cr_assert_not_null(above);
}

/* ---- the top of the heap: it shrinks, so that what comes again is growth ------------------------------------------- */

static struct span *below;

static size_t go_down_from_the_top(void) {
    size_t before = os_fake_purged;
    for (size_t i = SPANS; i-- > 0;)
        span_release(spans[i]);
    return (os_fake_purged - before) >> UNIT_SHIFT;
}

/* Goes up and down with nothing above. Returns by how many units the break has gone down from where it stood. */
static size_t break_falls(void) {
    have_credit();
    if (below == NULL)
        below = large(1);
    go_up();
    uintptr_t up = os_fake_break();
    cr_assert_gt(go_down_from_the_top(), 0, "memory goes in any case");
    cr_assert_leq(span_totals.free_dirty, LEAST + LEAST / 8 + 1);
    return (up - os_fake_break()) >> UNIT_SHIFT;
}

Test(amount, the_break_goes_down_with_what_is_given_back_at_the_top) {
    size_t fallen = break_falls();
    cr_assert_geq(fallen, SPANS * UNITS - LEAST - LEAST / 8 - 1);
    uintptr_t down = os_fake_break();
    go_up();
    cr_assert_gt(os_fake_break(), down, "the heap grows again");
    cr_assert_eq(go_down_from_the_top(), 0, "and keeps it, as was learned");
}

Test(amount, the_break_stays_where_it_is_anothers) {
    have_credit();
    below = large(1);
    go_up();
    os_fake_foreign_break(OS_PAGE);
    uintptr_t up = os_fake_break();
    cr_assert_gt(go_down_from_the_top(), 0);
    cr_assert_eq(os_fake_break(), up);
    go_up();
    cr_assert_eq(os_fake_break(), up, "what was given back is free");
}

Test(amount, the_break_stays_below_the_threshold) {
    tunables.trim_threshold = SIZE_LIMIT;
    cr_assert_eq(break_falls(), 0);
}

Test(amount, top_pad_stays) {
    tunables.top_pad = 100 * MIB;
    cr_assert_gt(break_falls(), 0);
    cr_assert_geq(os_fake_break(), (uintptr_t)span_address(below) + 100 * MIB);
}
