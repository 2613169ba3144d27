/* SPDX-License-Identifier: MIT */
/* Paused lists: the thread gets the same blocks by slow calls, for a while and while there is memory to give back. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/sizeclass.h"
#include "heap/cache.h"
#include "heap/cache_pause.h"
#include "heap/central.h"
#include "heap/decay.h"
#include "heap/holes.h"
#include "heap/span.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "process/verify.h"
#include "api/front.h"
#include "os_fake.h"
#include "spans.h"

enum { SIZE = 96, OTHER = 320, CALLS = 16, EACH_MS = 20, MOST = 200 };

static unsigned class;
static struct bin *bin;
static struct span *end; /* so that what is free is not at the top */

/* A list with some blocks. */
static size_t warm(size_t bytes) {
    static void *blocks[64];
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < 64; i++)
            blocks[i] = front_alloc(bytes, "malloc");
        for (size_t i = 0; i < 64; i++)
            front_free(blocks[i], "free");
    }
    const struct bin *list = bin_of(&cache_self, class_of(bytes));
    return (size_t)(list->count + list->limit);
}

/* Free memory to give back. */
static void free_units(size_t units) {
    struct span *span = large(units);
    end = large(1);
    memset(span_address(span), 1, UNIT);
    span_release(span);
}

static void pause_lists(void) {
    report_enter();
    pause_now_and_then(&cache_self, os_fake_clock);
    report_leave();
}

static void begin(void) {
    class = class_of(SIZE);
    cr_assert_gt(warm(SIZE), CALLS);
    bin = bin_of(&cache_self, class);
    free_units(100);
    cache_self.slow->calls_to_look = 1 << 20; /* nobody comes by but where the test wants it */
    os_fake_clock += EACH_MS;
}

TestSuite(pause, .init = begin);

static size_t on_list(void) {
    return bin->head == NULL ? 0 : (size_t)(bin->count + bin->limit);
}

static size_t waiting(void) {
    return cache_self.slow->spare[class] == NULL ? 0 : cache_self.slow->spare_length[class];
}

static bool is_paused(void) {
    bool paused = pause_is_on(&cache_self, class);
    if (paused)
        cr_assert(bin->head == NULL && bin->count == 0 && bin->limit == 0);
    return paused;
}

Test(pause, the_list_waits_and_comes_back) {
    size_t length = on_list();
    pause_lists();
    cr_assert(is_paused());
    cr_assert_eq(waiting(), length);
    cr_assert_eq(verify_heap(), 0);
    void *taken[CALLS];
    for (size_t i = 0; i < CALLS; i++) {
        cr_assert(is_paused(), "before call %zu", i);
        cr_assert_eq(waiting(), length - i);
        taken[i] = front_alloc(SIZE, "malloc");
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(taken[k], taken[i]);
        cr_assert_eq(verify_heap(), 0);
        cache_self.slow->pause_again = false; /* each call comes by, which would pause the lists anew */
        cache_self.slow->paused_at = os_fake_clock;
    }
    cr_assert_not(is_paused());
    cr_assert_eq(on_list(), length - CALLS);
    cr_assert_geq(bin->limit, on_list());
    cr_assert_eq(waiting(), 0);
}

Test(pause, frees_are_slow_as_well_and_lose_nothing) {
    void *blocks[CALLS];
    for (size_t i = 0; i < CALLS; i++)
        blocks[i] = front_alloc(SIZE, "malloc");
    size_t length = on_list();
    pause_lists();
    for (size_t i = 0; i < CALLS && is_paused(); i++) {
        report_enter();
        size_t held;
        arch_add(&bin->count, 1); /* as a free does that finds the list full */
        bin_take(bin, &held);
        ((struct block *)blocks[i])->mark = 0;
        pause_give_slow(&cache_self, bin, blocks[i], class);
        report_leave();
        cr_assert_eq(waiting() + on_list(), length + i + 1);
    }
    cr_assert_not(is_paused());
}

Test(pause, only_when_it_is_time) {
    pause_lists();
    cr_assert(is_paused());
    cache_flush();
    cr_assert_gt(warm(SIZE), 0);
    cache_self.slow->pause_again = false;
    memset(cache_self.slow->pause_left, 0, sizeof cache_self.slow->pause_left);
    cache_self.slow->paused_at = os_fake_clock;
    os_fake_clock += EACH_MS - 1;
    pause_lists();
    cr_assert_not(is_paused());
    os_fake_clock += 1;
    pause_lists();
    cr_assert(is_paused());
}

Test(pause, only_for_what_is_worth_it) {
    span_totals.free_dirty = DECAY_WORTH / UNIT - 1;
    pause_lists();
    cr_assert_not(is_paused());
    holes_wait = true;
    pause_lists();
    cr_assert(is_paused());
}

Test(pause, ends_once_there_is_nothing_to_give_back) {
    size_t length = on_list();
    pause_lists();
    span_totals.free_dirty = 0;
    void *block = front_alloc(SIZE, "malloc");
    cr_assert_not_null(block);
    cr_assert_not(is_paused());
    cr_assert_eq(on_list(), length - 1);
}

/* With two blocks on the list: the third call finds none, and the class goes on with a list. */
Test(pause, a_list_that_runs_out_is_filled) {
    while (on_list() > 2)
        front_alloc(SIZE, "malloc");
    pause_lists();
    cr_assert_eq(waiting(), 2);
    cr_assert(is_paused());
    front_alloc(SIZE, "malloc");
    cache_self.slow->pause_again = false;
    front_alloc(SIZE, "malloc");
    cache_self.slow->pause_again = false;
    cr_assert_eq(waiting(), 0);
    cr_assert(is_paused());
    void *block = front_alloc(SIZE, "malloc");
    cr_assert_not_null(block);
    cr_assert_not(is_paused());
    cr_assert_eq(verify_heap(), 0);
}

Test(pause, of_an_empty_list_there_is_none) {
    while (on_list() > 0)
        front_alloc(SIZE, "malloc");
    pause_lists();
    cr_assert_not(is_paused());
}

/* What it is for: a thread busy in one class, then seldom in another; all calls could be served by lists. */
Test(pause, a_thread_whose_lists_serve_all_its_calls_comes_by) {
    warm(OTHER);
    os_fake_clock += EACH_MS;
    pause_lists();
    for (int i = 0; i < 1000; i++)
        front_free(front_alloc(SIZE, "malloc"), "free");
    cr_assert_not(is_paused());
    cr_assert_gt(span_totals.free_dirty, 0);
    for (int i = 0; i < 40 && span_totals.free_dirty > 0; i++) {
        os_fake_clock += 100;
        front_free(front_alloc(OTHER, "malloc"), "free");
    }
    cr_assert_eq(span_totals.free_dirty, 0);
    cr_assert_eq(verify_heap(), 0);
}

/* ---- emptied classes --------------------------------------------------------------------------------------------- */

enum { BLOCKS = 40000, LAST = 400 };
static void *blocks[BLOCKS];

/* Allocates all blocks, and frees all but the last ones. `saved` ms have passed since the clock was last asked. */
static void free_most(size_t saved) {
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = front_alloc(SIZE, "malloc");
    pause_lists();
    cache_self.slow->credit = 0;
    os_fake_clock += saved;
    pause_lists();
    memset(cache_self.slow->pause_left, 0, sizeof cache_self.slow->pause_left);
    for (size_t i = LAST; i < BLOCKS; i++)
        front_free(blocks[i], "free");
    cr_assert_eq(verify_heap(), 0);
}

/* After how many of the last frees the class was paused. */
static size_t free_last(void) {
    size_t paused = 0;
    for (size_t i = 0; i < LAST; i++) {
        front_free(blocks[i], "free");
        paused += is_paused();
    }
    cr_assert_eq(verify_heap(), 0);
    return paused;
}

Test(pause, the_last_of_many_frees_leave_the_class_paused) {
    free_most(100);
    cr_assert(central_is_emptied(class, 12));
    size_t paused = free_last();
    cr_assert_gt(paused, LAST / 4, "%zu", paused);
}

/* Emptied: neither frees nor calls by the hundred end that, as long as time pays for them. */
static void empty_class(void) {
    tunables.decay_ms = 1000 * 1000; /* nothing is old for a while */
    free_most(1000);
    free_last();
    cr_assert(is_paused());
}

static void pair(void) {
    front_free(front_alloc(SIZE, "malloc"), "free");
}

Test(pause, an_emptied_class_stays_paused_by_time) {
    empty_class();
    for (size_t i = 0; i < 10 * CALLS; i++) {
        pair();
        cr_assert(is_paused(), "pair %zu", i);
    }
    cr_assert_eq(verify_heap(), 0);
}

Test(pause, such_a_pause_ends_when_nothing_pays_any_more) {
    empty_class();
    uint32_t credit = cache_self.slow->credit;
    size_t pairs = 0;
    for (; is_paused(); pairs++)
        pair();
    cr_assert(pairs <= credit && pairs >= credit / 4, "%zu pairs for %u", pairs, credit);
    cr_assert_eq(verify_heap(), 0);
}

Test(pause, or_after_a_time) {
    empty_class();
    os_fake_clock += 3 * decay_period_ms();
    pause_lists();
    pair();
    pair();
    cr_assert_not(is_paused());
}

Test(pause, and_takes_blocks_where_none_wait) {
    empty_class();
    void *taken[MOST];
    for (size_t i = 0; i < MOST; i++) {
        taken[i] = front_alloc(SIZE, "malloc");
        cr_assert_not_null(taken[i]);
        cr_assert(is_paused(), "block %zu", i);
    }
    cr_assert_eq(verify_heap(), 0);
    for (size_t i = 0; i < MOST; i++) {
        front_free(taken[i], "free");
        cr_assert(is_paused(), "block %zu", i);
    }
    cr_assert_leq(waiting(), cache_self.slow->earned_limit[class], "what is more goes to the central lists");
    cr_assert_eq(verify_heap(), 0);
}

Test(pause, what_is_not_paid_is_not_paused) {
    free_most(0);
    cr_assert_eq(cache_self.slow->credit, 0);
    cr_assert_eq(free_last(), 0);
}

Test(pause, while_much_is_in_use_nothing_is_emptied) {
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = front_alloc(SIZE, "malloc");
    for (size_t i = BLOCKS / 2; i < BLOCKS; i++)
        front_free(blocks[i], "free");
    cr_assert(!central_is_emptied(class, 12));
    cr_assert(central_is_emptied(class, 1));
}
