/* SPDX-License-Identifier: MIT */
/* Windows: the long lists of classes whose blocks are taken and freed by the hundred, in turn. */
#include <criterion/criterion.h>

#include "base/sizeclass.h"
#include "heap/cache.h"
#include "heap/cache_growth.h"
#include "heap/cache_stale.h"
#include "heap/central.h"
#include "kit/report.h"
#include "process/verify.h"
#include "api/front.h"

enum { SIZE = 8192, SMALL = 128, LIVE = 100, TURNS = 100, MANY = 1500, LOOKS = 2 * STALE_CLASSES };

static void *blocks[MANY];

static size_t earned(size_t bytes) {
    return cache_self.slow->earned_limit[class_of(bytes)];
}

static void take(size_t bytes, int count) {
    for (int i = 0; i < count; i++)
        cr_assert_not_null(blocks[i] = front_alloc(bytes, "malloc"));
}

static void give(int count) {
    for (int i = 0; i < count; i++)
        front_free(blocks[i], "free");
}

static void in_turn(size_t bytes, int turns) {
    for (int i = 0; i < turns; i++) {
        take(bytes, LIVE);
        give(LIVE);
    }
    cr_assert_eq(verify_heap(), 0);
}

static bool has_window(size_t bytes) {
    return earned(bytes) > class_batch(class_of(bytes));
}

Test(window, holds_a_hundred_that_are_taken_and_freed_in_turn) {
    in_turn(SIZE, TURNS);
    cr_assert(has_window(SIZE));
    cr_assert_geq(earned(SIZE), LIVE);
    cr_assert_eq(cache_length(&cache_self, class_of(SIZE)), LIVE);
}

/* Blocks that are freed and never wanted again wait on no long list. */
Test(window, is_for_what_comes_back) {
    take(SIZE, 10 * LIVE);
    give(10 * LIVE);
    cr_assert_not(has_window(SIZE));
    cr_assert_leq(cache_length(&cache_self, class_of(SIZE)), 2 * class_batch(class_of(SIZE)));
}

Test(window, is_not_for_small_blocks) {
    in_turn(SMALL, 10 * TURNS);
    cr_assert_not(has_window(SMALL));
}

Test(window, goes_home_when_small_blocks_need_more_memory_than_before) {
    in_turn(SIZE, TURNS);
    cr_assert(has_window(SIZE));
    take(SMALL, MANY);
    cr_assert_not(has_window(SIZE));
    cr_assert_eq(cache_length(&cache_self, class_of(SIZE)), 0);
    cr_assert_eq(verify_heap(), 0);
    give(MANY);
    in_turn(SIZE, TURNS);
    cr_assert(has_window(SIZE));
}

Test(window, goes_home_when_it_is_stale) {
    in_turn(SIZE, TURNS);
    report_enter();
    for (int i = 0; i < LOOKS; i++)
        stale_look(&cache_self);
    report_leave();
    cr_assert_not(has_window(SIZE));
    cr_assert_eq(cache_length(&cache_self, class_of(SIZE)), 0);
    cr_assert_eq(verify_heap(), 0);
}

/* 4 MiB in turn: no window has so much, and all windows together have not either. */
Test(window, is_bounded) {
    for (size_t bytes = 2048; bytes <= SIZE; bytes *= 2)
        for (int i = 0; i < TURNS; i++) {
            take(bytes, 512);
            give(512);
        }
    cr_assert_leq(cache_self.slow->window_bytes, MIB);
    cr_assert_eq(verify_heap(), 0);
}
