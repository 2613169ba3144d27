/* SPDX-License-Identifier: MIT */
/* OS pages in used spans in which no block is in use: which they are, when they go, what is so meanwhile and afterwards. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sizeclass.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/central_class.h"
#include "heap/central_spans.h"
#include "heap/holes.h"
#include "heap/home.h"
#include "heap/plain.h"
#include "heap/span.h"
#include "heap/span_free.h"
#include "observe/stats.h"
#include "process/verify.h"
#include "api/front.h"
#include "os_fake.h"

enum { SIZE = 2048, COUNT = 4096 }; /* 8 MiB of blocks, two a page */
static char *blocks[COUNT];

static void fill_heap(void) {
    cr_assert_eq(OS_PAGE, 2 * SIZE);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = plain_alloc(SIZE, BLOCK_ALIGN, &(bool){false});
        cr_assert_not_null(blocks[i]);
        memset(blocks[i], (int)(i % 251 + 1), SIZE);
    }
}

static bool keeps(size_t i) {
    return i % 32 == 0;
}

/* A look from its start to its end. */
static void look_once(void) {
    os_fake_clock += 1000;
    for (int i = 0; i < 20; i++, os_fake_clock += 10)
        holes_look(os_fake_clock);
}

/* Frees all blocks but those that are kept, and sends them home. No look falls into the frees, which take no time: the last one
 * ended when all was in use. */
static void thin_out(void) {
    look_once();
    for (size_t i = 0; i < COUNT; i++)
        if (!keeps(i))
            front_free(blocks[i], "free");
    cache_flush();
    central_flush();
}

static void sound(const char *when) {
    cr_assert_eq(verify_heap(), 0, "%s", when);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; keeps(i) && k < SIZE; k++)
            cr_assert_eq((unsigned char)blocks[i][k], i % 251 + 1, "block %zu at %zu %s", i, k, when);
}

static size_t returned_bytes(void) {
    static struct stats stats;
    stats_read(&stats);
    cr_assert_eq(stats.live + stats.cached + stats.free + stats.metadata, stats.taken);
    return stats.home_returned;
}

/* Bytes of the free blocks that lie in pages without a kept one. */
static size_t expected_bytes(void) {
    size_t kept_pages = 0, home = 0;
    static struct stats stats;
    stats_read(&stats);
    home = stats.classes[class_of(SIZE)].home * SIZE;
    for (size_t i = 0; i < COUNT; i++)
        kept_pages += keeps(i);
    return home - kept_pages * SIZE; /* beside a kept block lies one free one in its page */
}

static void begin(void) {
    fill_heap();
    thin_out();
}

TestSuite(holes, .init = begin);

Test(holes_pages, are_those_of_the_blocks_one_by_one) {
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        size_t size = class_bytes(class), units = class_units(class, true);
        struct span *span = span_acquire_small(class, true);
        cr_assert_not_null(span);
        for (int round = 0; round < 8; round++) {
            uint64_t *home = span_home(span);
            span->carved = (uint16_t)(round == 0 ? 0 : round == 1 ? span->capacity : rand() % (span->capacity + 1));
            memset(home, 0, (span->capacity + 63u) / 64 * sizeof *home);
            for (size_t i = 0; i < span->carved; i++)
                if (rand() % 64 >= 1 << round % 4)
                    home[i / 64] |= (uint64_t)1 << i % 64;
            for (size_t page = 0; page < units * PAGES_A_UNIT; page++) {
                bool free = true;
                for (size_t i = 0; i < span->carved; i++)
                    if (i * size < (page + 1) * OS_PAGE && (i + 1) * size > page * OS_PAGE)
                        free = free && (home[i / 64] >> i % 64 & 1) != 0;
                unsigned pages = home_free_pages(span, size, page / PAGES_A_UNIT);
                cr_assert_eq(pages >> page % PAGES_A_UNIT & 1, free, "class %u, page %zu, round %d", class, page, round);
            }
        }
    }
}

Test(holes, go_after_a_whole_look_and_not_before) {
    size_t before = returned_bytes();
    look_once();
    cr_assert_eq(returned_bytes(), before);
    sound("after one look");
    size_t purged = os_fake_purged;
    look_once();
    cr_assert_eq(returned_bytes(), expected_bytes());
    cr_assert_geq(os_fake_purged - purged, returned_bytes() - before);
    sound("after two looks");
    purged = os_fake_purged;
    look_once();
    cr_assert_eq(os_fake_purged, purged, "what was given back is not given again");
}

Test(holes, look_again_only_when_it_is_time) {
    look_once();
    size_t before = returned_bytes();
    for (int i = 0; i < 40; i++, os_fake_clock += 10)
        holes_look(os_fake_clock);
    cr_assert_eq(returned_bytes(), before);
}

Test(holes, go_at_once_when_asked) {
    plain_trim(0);
    cr_assert_eq(returned_bytes(), expected_bytes());
    sound("after a trim");
}

Test(holes, of_a_span_that_blocks_were_taken_of_wait) {
    look_once();
    struct class *class = central_find_class(class_of(SIZE));
    struct span *span = class->spans;
    void *block = central_take_single(class_of(SIZE));
    cr_assert_eq(span_find(block), span);
    central_give_home(class_of(SIZE), (((struct block *)block)->next = NULL, block));
    look_once();
    cr_assert_eq(span->returned_pages, 0);
    cr_assert_neq(span->idle_pages, 0);
    look_once();
    cr_assert_neq(span->returned_pages, 0);
}

/* Beside pages of the same span that are due. */
Test(holes, that_were_made_since_the_last_look_wait_for_the_next) {
    struct block *beside = central_take_single(class_of(SIZE)), *block = central_take_single(class_of(SIZE));
    struct span *span = span_find(block);
    unsigned bit = 1u << (size_t)((char *)block - span_address(span)) / OS_PAGE;
    cr_assert(span_find(beside) == span && bit > 1 && bit < 1u << PAGES_A_UNIT, "the first has the other half of a kept page");
    look_once();
    central_give_home(class_of(SIZE), (block->next = NULL, block));
    look_once();
    cr_assert_eq(span->returned_pages & bit, 0);
    cr_assert_neq(span->returned_pages, 0, "those that were free all the time");
    look_once();
    cr_assert_neq(span->returned_pages & bit, 0);
}

/* What has memory is taken before what has none, and what has none is known to have some again. */
Test(holes, are_taken_last) {
    plain_trim(0);
    struct span *span = central_find_class(class_of(SIZE))->spans;
    size_t page_mates = 0;
    for (unsigned pages = span->returned_pages; span->live < span->capacity; page_mates++) {
        void *block = central_take_single(class_of(SIZE));
        cr_assert_eq(span_find(block), span);
        size_t page = (size_t)((char *)block - span_address(span)) / OS_PAGE;
        bool with_memory = (pages >> page & 1) == 0;
        if (with_memory)
            cr_assert_eq(span->returned_pages, pages, "one with memory is left");
        else
            cr_assert_eq(span->returned_pages >> page & 1, 0);
        memset(block, 0x77, SIZE);
    }
    cr_assert_eq(span->returned_pages, 0);
    cr_assert_gt(page_mates, 0);
    cr_assert_eq(verify_heap(), 0);
}

static struct class *purged_class;
static size_t hook_calls, sent_home;

/* Another thread comes while the OS takes pages. */
static void in_between(void) {
    struct span *apart = purged_class->held;
    void *taken[64];
    static struct stats stats;
    if (apart == NULL || hook_calls++ % 16 != 0)
        return;
    cr_assert(apart->apart && !apart->listed);
    cr_assert_eq(verify_heap(), 0);
    for (size_t i = 0; i < 64; i++) {
        taken[i] = central_take_single(purged_class->index);
        cr_assert_neq(span_find(taken[i]), apart, "a block of a span that is apart is given out");
    }
    for (size_t i = 0; i < 64; i++)
        central_give_home(purged_class->index, (((struct block *)taken[i])->next = NULL, taken[i]));
    for (size_t i = 0; i < COUNT; i += 32) /* the kept blocks of the span come home */
        if (blocks[i] != NULL && span_find(blocks[i]) == apart) {
            central_give_home(purged_class->index, (((struct block *)(void *)blocks[i])->next = NULL, blocks[i]));
            blocks[i] = NULL;
            sent_home++;
        }
    stats_read(&stats);
    cr_assert_eq(stats.live + stats.cached + stats.free + stats.metadata, stats.taken);
}

Test(holes, nobody_takes_of_a_span_that_is_apart_and_all_may_give) {
    purged_class = central_find_class(class_of(SIZE));
    size_t spans = purged_class->span_count;
    os_fake_while_purging = in_between;
    holes_return();
    os_fake_while_purging = NULL;
    cr_assert_gt(sent_home, 0);
    cr_assert_null(purged_class->held);
    cr_assert_lt(purged_class->span_count, spans, "a span whose last block came home meanwhile goes");
    cr_assert_eq(verify_heap(), 0);
}

Test(holes, that_the_os_refuses_stay) {
    size_t before = returned_bytes();
    os_fake_refuse_purge = true;
    cr_assert_eq(holes_return(), 0);
    cr_assert_eq(returned_bytes(), before);
    look_once();
    look_once();
    cr_assert_eq(returned_bytes(), before);
    sound("after refusals");
    os_fake_refuse_purge = false;
    look_once();
    look_once();
    cr_assert_eq(returned_bytes(), expected_bytes());
}

/* All blocks of the class are taken and come home again. */
static void go_up_and_down(void) {
    static void *taken[COUNT];
    size_t n = 0;
    for (struct class *class = central_find_class(class_of(SIZE)); class->spans != NULL && n < COUNT; n++)
        taken[n] = central_take_single(class_of(SIZE));
    while (n-- > 0)
        central_give_home(class_of(SIZE), (((struct block *)taken[n])->next = NULL, taken[n]));
}

Test(holes, of_a_class_that_wants_them_back_soon_are_kept_longer_each_time) {
    size_t gaps[4], looks = 0, seen = 0;
    for (size_t last = 0; seen < 4 && looks < 200; looks++) {
        size_t purged = os_fake_purged;
        look_once();
        if (os_fake_purged == purged)
            continue;
        go_up_and_down();
        gaps[seen++] = looks - last;
        last = looks;
    }
    cr_assert_eq(seen, 4, "after %zu looks", looks);
    cr_assert_lt(gaps[1], gaps[2]);
    cr_assert_lt(gaps[2], gaps[3]);
}

/* Units all of whose pages were given back are clean once their span is free. */
Test(holes, of_a_span_that_goes_are_clean) {
    enum { WIDE = 20480 }; /* three blocks in four units */
    unsigned class = class_of(WIDE);
    char *first = central_take_single(class), *second = central_take_single(class);
    struct span *span = span_find(first);
    cr_assert(span->units == 4 && span_find(second) == span);
    memset(first, 1, WIDE);
    memset(second, 1, WIDE);
    central_give_home(class, (((struct block *)(void *)second)->next = NULL, second));
    holes_return();
    const struct region *region = &regions[span->region];
    size_t at = (size_t)(span - region->spans);
    cr_assert_eq(span[2].returned_pages, (1u << PAGES_A_UNIT) - 1, "the last 12 KiB of the second and what was never cut");
    central_give_home(class, (((struct block *)(void *)first)->next = NULL, first));
    cr_assert_null(span_find(first));
    cr_assert_gt(span_dirty_count(region, at, 2), 0);
    cr_assert_eq(span_dirty_count(region, at + 2, 2), 0);
    cr_assert_eq(verify_heap(), 0);
}

/* In a forked child: what a thread that is gone held goes back to its class. */
Test(holes, held_by_threads_that_are_gone_come_back_in_a_child) {
    struct class *class = central_find_class(class_of(SIZE));
    struct span *span = class->spans;
    lock_acquire(&class->lock, LOCK_CLASS);
    central_hold_locked(class, span);
    lock_release(&class->lock, LOCK_CLASS);
    span->holder = &span;
    central_locks.forked();
    cr_assert(class->held == NULL && span->listed && !span->apart);
    cr_assert_eq(verify_heap(), 0);
}
