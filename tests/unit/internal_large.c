/* SPDX-License-Identifier: MIT */
/* Large blocks that a thread keeps: when it keeps them and how many, which of them serves, and when they go. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>

#include "base/base.h"
#include "heap/cache.h"
#include "heap/cache_bound.h"
#include "heap/cache_large.h"
#include "heap/decay.h"
#include "heap/plain.h"
#include "heap/region.h"
#include "heap/span.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "observe/stats.h"
#include "process/verify.h"
#include "api/front.h"
#include "spans.h"

enum { SIZE = 4 * UNIT, TIMES = 100, MOST = KEPT_MOST / 4 };

static struct large_slots *mine(void) {
    return &cache_self.slow->large;
}

static void *take(size_t bytes) {
    void *block = front_alloc(bytes, "malloc");
    cr_assert_not_null(block);
    return block;
}

static void give(void *block) {
    front_free(block, "free");
}

static struct span *span_of(const void *block) {
    return span_of_unit(region_find(block), block);
}

/* Used until what is freed is kept. */
static void warm(void) {
    for (int i = 0; i < TIMES; i++)
        give(take(SIZE));
    cr_assert_gt(mine()->most, 0);
    cr_assert_eq(mine()->units, SIZE / UNIT);
}

/* All locks of a walk, and what all statistics say. */
static void is_whole(void) {
    struct stats stats;
    cr_assert_eq(verify_heap(), 0);
    stats_read(&stats);
    cr_assert_eq(stats.live + stats.cached + stats.free + stats.metadata, stats.taken);
}

Test(large, is_kept_and_taken_again) {
    for (int i = 0; i < 20; i++) {
        give(take(SIZE));
        cr_assert_eq(mine()->units, 0, "nothing is kept before it is known to serve");
    }
    warm();
    void *block = take(SIZE);
    cr_assert_eq(mine()->units, 0);
    cr_assert_eq(span_of(block)->state, SPAN_LARGE);
    give(block);
    cr_assert_eq(span_of(block)->state, SPAN_CACHED);
    is_whole();
    cr_assert_eq(take(SIZE), block);
    is_whole();
}

Test(large, a_block_that_is_a_fourth_too_large_serves) {
    warm();
    void *larger = mine()->spans[0];
    cr_assert_not_null(larger);
    give(take(SIZE - UNIT)); /* three units of four are too few */
    cr_assert_eq(mine()->units, SIZE / UNIT + SIZE / UNIT - 1);
    large_flush(mine());
    void *five = take(5 * UNIT);
    give(five);
    cr_assert_eq(take(SIZE), five);
    cr_assert_eq(plain_usable(five), 5 * UNIT);
    void *another = take(SIZE);
    give(five);
    give(another);
    const void *six = take(SIZE + UNIT + 1);
    cr_assert(six != five && six != another, "one that is too small");
    is_whole();
}

Test(large, the_shortest_that_serves_is_taken) {
    warm();
    large_flush(mine());
    void *five = take(5 * UNIT), *four = take(SIZE);
    give(five);
    give(four);
    cr_assert_eq(take(SIZE), four);
    cr_assert_eq(take(SIZE), five);
}

Test(large, no_more_than_its_part) {
    static void *blocks[TIMES];
    warm();
    for (int i = 0; i < TIMES; i++)
        blocks[i] = take(SIZE);
    warm();
    for (int i = 0; i < TIMES; i++)
        give(blocks[i]);
    cr_assert_eq(mine()->units, KEPT_MOST);
    cr_assert_eq(large_count(mine()), MOST);
    is_whole();
    void *huge = take((KEPT_MOST + 1) * UNIT);
    large_flush(mine());
    give(huge);
    cr_assert_eq(mine()->units, 0, "a block that is larger than all that may be kept");
}

/* Blocks of two units come only from aligned_alloc: shorter ones are small. */
Test(large, slots_are_full) {
    static void *blocks[LARGE_SLOTS];
    warm();
    large_flush(mine());
    void *more = front_aligned(2 * UNIT, UNIT, "memalign"), *last = take(SIZE);
    cr_assert_eq(span_of(more)->units, 1);
    for (int i = 0; i < LARGE_SLOTS; i++)
        blocks[i] = front_aligned(2 * UNIT, UNIT, "memalign");
    for (int i = 0; i < LARGE_SLOTS; i++)
        give(blocks[i]);
    cr_assert_eq(large_count(mine()), LARGE_SLOTS);
    give(last);
    cr_assert_eq(mine()->units, LARGE_SLOTS);
    cr_assert_neq(span_of(last)->state, SPAN_CACHED);
    cr_assert_neq(take(SIZE), more);
    is_whole();
}

/* Three that do not serve, each time. */
Test(large, nothing_is_kept_where_it_does_not_serve) {
    void *small, *middle, *longest;
    warm();
    for (int i = 0; i < TIMES && mine()->most > 0; i++) {
        give(small = take(3 * UNIT));
        give(middle = take(5 * UNIT));
        give(longest = take(8 * UNIT));
        large_flush(mine());
        cr_assert(small != NULL && middle != NULL && longest != NULL);
    }
    cr_assert_eq(mine()->most, 0);
    give(take(SIZE));
    cr_assert_eq(mine()->units, 0);
    is_whole();
}

/* With the score at its end a span that is kept and does not serve goes, too. */
Test(large, what_is_kept_goes_when_it_serves_no_more) {
    void *others[TIMES];
    warm();
    void *block = mine()->spans[0] != NULL ? span_address(mine()->spans[0]) : NULL;
    for (int i = 0; i < TIMES; i++)
        others[i] = take(7 * UNIT);
    cr_assert_eq(mine()->most, 0);
    cr_assert_neq(span_of(block)->state, SPAN_CACHED);
    for (int i = 0; i < TIMES; i++)
        give(others[i]);
    is_whole();
}

static void look(void) {
    report_enter();
    large_look(mine());
    report_leave();
}

Test(large, what_is_not_taken_goes_at_the_second_look) {
    warm();
    look();
    cr_assert_eq(mine()->units, SIZE / UNIT);
    give(take(SIZE)); /* is new in its slot */
    look();
    cr_assert_eq(mine()->units, SIZE / UNIT);
    look();
    cr_assert_eq(mine()->units, 0);
    is_whole();
}

/* Calls of lists and large ones alike bring a thread to that look. */
Test(large, a_thread_that_takes_others_looks) {
    warm();
    void *block = take(SIZE);
    give(block);
    cr_assert_eq(mine()->units, SIZE / UNIT);
    for (int i = 0; i < 20 * TIMES && mine()->units > 0; i++)
        give(take(40 * UNIT));
    cr_assert_eq(mine()->units, 0);
}

Test(large, nothing_is_kept_with_decay_0_or_a_bound) {
    warm();
    size_t decay = tunables.decay_ms;
    tunables.decay_ms = 0;
    give(take(SIZE));
    cr_assert_eq(mine()->units, 0);
    tunables.decay_ms = decay;
    give(take(SIZE));
    cr_assert_eq(mine()->units, SIZE / UNIT);
    tunables.cache_limit = 64 * KIB;
    cache_bound_now();
    cr_assert_eq(mine()->units, 0);
    give(take(SIZE));
    cr_assert_eq(mine()->units, 0);
    is_whole();
}

Test(large, nothing_is_kept_while_threads_have_no_lists) {
    warm();
    cache_set_lists(LISTS_OFF);
    give(take(SIZE));
    cr_assert_eq(mine()->units, 0);
    cache_set_lists(LISTS_PLAIN);
    give(take(SIZE));
    cr_assert_eq(mine()->units, SIZE / UNIT);
    cache_set_lists(LISTS_OFF);
    cr_assert(cache_settle());
    cr_assert_eq(mine()->units, 0, "settled, a thread has nothing");
    is_whole();
}

Test(large, a_flush_and_a_trim_free_it) {
    warm();
    cache_flush();
    cr_assert_eq(mine()->units, 0);
    warm();
    plain_trim(0);
    cr_assert_eq(mine()->units, 0);
    is_whole();
}

Test(large, is_told_as_freed) {
    warm();
    void *block = take(SIZE);
    cr_assert_not(large_is_kept(block));
    give(block);
    cr_assert(large_is_kept(block));
    cr_assert_not(large_is_kept((char *)block + UNIT));
    cr_assert_str_eq(plain_missing(block, true), DOUBLE_FREE);
    cr_assert_str_eq(plain_missing(block, false), NOT_LIVE);
    cr_assert_str_eq(plain_missing((char *)block + UNIT, true), NOT_LIVE);
    cr_assert_eq(plain_usable(block), 0);
    cr_assert_null(plain_resize(block, 2 * SIZE));
    cr_assert_eq(mine()->units, SIZE / UNIT);
}

Test(large, counts_as_cached) {
    struct stats before, after;
    warm();
    void *block = take(SIZE);
    stats_read(&before);
    give(block);
    stats_read(&after);
    cr_assert_eq(before.live - after.live, SIZE);
    cr_assert_eq(before.live_blocks - after.live_blocks, 1);
    cr_assert_eq(after.cached - before.cached, SIZE);
    cr_assert_eq(after.cached_blocks - before.cached_blocks, 1);
    cr_assert_eq(before.large - after.large, SIZE);
}

static void *ends(void *data) {
    warm();
    *(void **)data = span_address(mine()->spans[0]);
    return NULL;
}

Test(large, goes_when_its_thread_ends) {
    pthread_t thread;
    void *block = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, ends, &block), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_not_null(block);
    cr_assert_not(large_is_kept(block));
    is_whole();
}

/* As of a thread that did not live on. */
Test(large, a_child_frees_what_is_in_slots) {
    warm();
    struct large_slots other = *mine();
    void *block = span_address(other.spans[0]);
    *mine() = (struct large_slots){0};
    large_forked(&other);
    cr_assert_not(large_is_kept(block));
    is_whole();
}

enum { MANY = 80 };

static pthread_barrier_t all_there;

/* Keeps what it may, while all others do. */
static void *is_one_of_many(void *data) {
    for (int i = 0; i < TIMES; i++)
        give(take(SIZE));
    void *several[MOST];
    for (int i = 0; i < MOST; i++)
        several[i] = take(SIZE);
    for (int i = 0; i < MOST; i++)
        give(several[i]);
    __atomic_fetch_add((size_t *)data, mine()->units, __ATOMIC_RELAXED);
    pthread_barrier_wait(&all_there);
    pthread_barrier_wait(&all_there);
    return NULL;
}

/* However they come, one after another or at once. */
Test(large, all_threads_have_a_bound) {
    pthread_t threads[MANY];
    size_t kept = 0;
    pthread_barrier_init(&all_there, NULL, MANY + 1);
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, is_one_of_many, &kept), 0);
        usleep(i < 10 ? 2000 : 0);
    }
    pthread_barrier_wait(&all_there);
    cr_assert_gt(kept, 0);
    cr_assert_leq(kept, 64, "1 MiB of all");
    pthread_barrier_wait(&all_there);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    warm(); /* what the threads had is there again */
    cr_assert_eq(mine()->most, KEPT_MOST);
    is_whole();
}

/* The longer block would be the shorter one's for good. */
Test(large, what_is_longer_does_not_make_a_thread_keep) {
    static void *kept[TIMES];
    for (int i = 0; i < TIMES; i++) {
        give(take(SIZE + UNIT));
        kept[i] = take(SIZE);
        cr_assert_eq(span_of(kept[i])->units, SIZE / UNIT);
    }
    cr_assert_eq(mine()->most, 0);
    for (int i = 0; i < TIMES; i++)
        give(kept[i]);
    is_whole();
}

/* A thread that takes nothing but what it keeps, whatever it has done before, comes by. */
Test(large, a_thread_that_takes_kept_ones_comes_by) {
    warm();
    span_release(large(7)); /* so that there is something to give back, now or later */
    cr_assert(decay_has_work());
    for (unsigned before = 0; before < 8; before++) {
        cache_self.slow->wide_calls = (uint8_t)before;
        cache_self.slow->calls_to_look = 1000;
        for (int i = 0; i < 8; i++)
            give(take(SIZE));
        cr_assert_eq(cache_self.slow->calls_to_look, 999, "eight of them are one look");
    }
}

Test(large, k7_is_looked_at) {
    warm();
    mine()->units++;
    cr_assert_not(large_is_right(mine()));
    cr_assert_eq(verify_heap(), 1);
    mine()->units--;
    cr_assert(large_is_right(mine()));
    int other = mine()->spans[0] != NULL ? 1 : 0;
    mine()->spans[other] = mine()->spans[1 - other];
    cr_assert_not(large_is_right(mine()), "the same span twice");
    mine()->spans[other] = NULL;
    cr_assert(large_is_right(mine()));
}
