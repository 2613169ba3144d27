/* SPDX-License-Identifier: MIT */
/* Stale lists: those of blocks above a KiB that look the same twice go home, and with the last of its blocks a span. */
#include <criterion/criterion.h>

#include "base/sizeclass.h"
#include "heap/cache.h"
#include "heap/cache_stale.h"
#include "heap/central_class.h"
#include "kit/report.h"
#include "process/verify.h"
#include "api/front.h"

enum { SIZE = 10000, OTHER = 12000, SMALL = 1024, LEAST = 1040, TURN = (STALE_CLASSES + 3) / 4, TIMES = 20 };

static bool has_list(size_t bytes) {
    return bin_of(&cache_self, class_of(bytes))->head != NULL;
}

/* Used until its freed blocks stay on a list. */
static void warm(size_t bytes) {
    for (int i = 0; i < TIMES; i++)
        front_free(front_alloc(bytes, "malloc"), "free");
    cr_assert(has_list(bytes));
}

/* A look at each list. */
static void turn(void) {
    report_enter();
    for (int i = 0; i < TURN; i++)
        stale_look(&cache_self);
    report_leave();
    cr_assert_eq(verify_heap(), 0);
}

static uint32_t spans_of(size_t bytes) {
    return central_find_class(class_of(bytes))->span_count;
}

Test(stale, goes_home_at_the_second_look_and_frees_its_span) {
    warm(SIZE);
    warm(OTHER);
    turn();
    cr_assert(has_list(SIZE) && has_list(OTHER));
    cr_assert(spans_of(SIZE) > 0 && spans_of(OTHER) > 0);
    turn();
    cr_assert(!has_list(SIZE) && !has_list(OTHER));
    central_flush_class(central_find_class(class_of(SIZE)));
    central_flush_class(central_find_class(class_of(OTHER)));
    cr_assert_eq(spans_of(SIZE) + spans_of(OTHER), 0);
}


/* One block less at each look. */
Test(stale, what_changes_stays) {
    static void *blocks[TIMES];
    unsigned class = class_of(LEAST);
    for (int round = 0; round < TIMES; round++) {
        for (int i = 0; i < TIMES; i++)
            blocks[i] = front_alloc(LEAST, "malloc");
        for (int i = 0; i < TIMES; i++)
            front_free(blocks[i], "free");
    }
    cr_assert_geq(cache_length(&cache_self, class), 3);
    turn();
    for (size_t left = cache_length(&cache_self, class); left > 1; left--) {
        cr_assert_eq(cache_length(&cache_self, class), left);
        front_alloc(LEAST, "malloc");
        turn();
    }
}

Test(stale, is_used_as_before_afterwards) {
    warm(SIZE);
    size_t earned = cache_self.slow->earned_limit[class_of(SIZE)];
    turn();
    turn();
    cr_assert(!has_list(SIZE));
    cr_assert_eq(cache_self.slow->earned_limit[class_of(SIZE)], earned);
    front_free(front_alloc(SIZE, "malloc"), "free");
    cr_assert(has_list(SIZE));
}

Test(stale, small_blocks_stay) {
    for (int i = 0; i < TIMES; i++)
        front_free(front_alloc(SMALL, "malloc"), "free");
    cr_assert(has_list(SMALL));
    turn();
    turn();
    turn();
    cr_assert(has_list(SMALL));
}
