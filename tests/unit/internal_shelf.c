/* SPDX-License-Identifier: MIT */
/* Shelves: which blocks lie on their tracts, how these are cut and joined, when they go back to the page heap; and what
 * threads do with them at once. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap/decay.h"
#include "heap/plain.h"
#include "heap/span_free.h"
#include "heap/span_shelf.h"
#include "heap/span_sweep.h"
#include "kit/tunables.h"
#include "observe/stats.h"
#include "os_fake.h"
#include "process/verify.h"
#include "spans.h"

static void check(void) {
    cr_assert_eq(verify_heap(), 0);
}

static struct shelf_totals lying(void) {
    struct shelf_totals totals;
    span_shelf_count(&totals);
    return totals;
}

static void open_shelves(void) {
    span_shelf_grow();
    cr_assert(span_shelf_is_open());
}

/* The only tract that there is. */
static struct tract *tract(void) {
    cr_assert_eq(shelves_all[0].count, 1);
    return &shelves_all[0].tracts[0];
}

Test(shelf, there_is_none_until_the_lock_is_found_taken_often) {
    struct span *span = large(5), *end = large(1);
    span_release(span);
    span_release(end);
    cr_assert_not(span_shelf_is_open());
    cr_assert_eq(lying().units, 0);
    cr_assert_eq(shelves.opened, 0);
    for (int i = 0; i < 1000; i++) { /* now and then is not often */
        page_heap.crowded += i % (2 * CROWDED_PART) == 0 ? CROWDED_PART : 0;
        span_release(large(5));
    }
    cr_assert_lt(page_heap.crowded, CROWDED_MOST);
    cr_assert_not(span_shelf_is_open());
}

Test(shelf, blocks_are_cut_from_a_tract) {
    open_shelves();
    bool zeroed = false;
    struct span *a = span_acquire_large(5, UNIT, &zeroed);
    cr_assert(zeroed, "nobody had it");
    struct span *b = large(7);
    cr_assert_eq(b, a + 5);
    cr_assert_eq(lying().units, TRACT_UNITS - 12);
    cr_assert_eq(lying().spans, 1);
    check();
    struct span *most = large(SHELF_BLOCK_UNITS), *more = large(SHELF_BLOCK_UNITS + 1);
    cr_assert_eq(most, b + 7);
    cr_assert_eq(more->shelf, 0, "as large a block is the page heap's");
    struct span *aligned = span_acquire_large(2, 4 * UNIT, &zeroed);
    cr_assert_eq(aligned->shelf, 0, "and one that must be aligned");
    cr_assert_eq((uintptr_t)span_address(aligned) % (4 * UNIT), 0);
    check();
    span_release_large(most), span_release_large(a), span_release_large(more), span_release_large(b);
    cr_assert_eq(lying().units, TRACT_UNITS);
    cr_assert_eq(lying().spans, 1, "all of it is one run again");
    check();
}

Test(shelf, what_is_freed_serves_the_next_block_of_its_size) {
    open_shelves();
    struct span *before = large(3), *span = large(5), *behind = large(3);
    size_t large_units = span_totals.large;
    cr_assert(span_release_large(span));
    cr_assert_eq(span->state, SPAN_SHELVED);
    cr_assert_eq(lying().spans, 2);
    check();
    cr_assert_not(span_release_large(span), "a second free is told");
    cr_assert(span_is_free(span_address(span)));
    cr_assert(span_is_free(span_address(span) + 3 * UNIT));
    cr_assert_null(span_find(span_address(span)));
    size_t units;
    cr_assert_not(span_try_resize(span, 1));
    cr_assert_not(span_try_hold(span, &units));
    bool zeroed = true;
    cr_assert_eq(span_acquire_large(5, UNIT, &zeroed), span);
    cr_assert_not(zeroed);
    cr_assert_eq(span->state, SPAN_LARGE);
    cr_assert_eq(span_totals.large, large_units);
    check();
    span_release_large(span), span_release_large(before);
    cr_assert_eq(lying().spans, 2, "both are one");
    cr_assert_eq(before->units, 8);
    span_release_large(behind);
    cr_assert_eq(before->units, TRACT_UNITS);
    cr_assert_not(span_release_large(span), "nor is it a block while it is within a free run");
    check();
}

Test(shelf, the_best_fit_is_cut) {
    open_shelves();
    struct span *five = large(5);
    large(1);
    struct span *four = large(4);
    large(1);
    span_release_large(five), span_release_large(four);
    cr_assert_eq(large(3), four);
    cr_assert_eq(large(4), five);
    cr_assert_eq(large(1), five + 4, "the shortest that is long enough");
    cr_assert_eq(large(1), four + 3);
    check();
}

Test(shelf, blocks_are_resized_in_place) {
    open_shelves();
    struct span *a = large(10), *b = large(4), *end = large(1);
    cr_assert_not(span_try_resize(a, 11), "the next one is in use");
    span_release_large(b);
    cr_assert(span_try_resize(a, 12));
    cr_assert_eq(a->units, 12);
    cr_assert_eq(lying().units, TRACT_UNITS - 13);
    check();
    cr_assert_not(span_try_resize(a, 15));
    cr_assert_eq(a->units, 12);
    cr_assert(span_try_resize(a, 14), "all that is free");
    check();
    cr_assert(span_try_resize(a, 1));
    cr_assert_eq(lying().units, TRACT_UNITS - 2);
    cr_assert_eq(a[1].state, SPAN_SHELVED);
    check();
    cr_assert(span_try_resize(end, TRACT_UNITS - 14));
    check();
    cr_assert_not(span_try_resize(end, TRACT_UNITS - 13), "no farther than the tract");
    check();
    span_release_large(a), span_release_large(end);
    cr_assert_eq(lying().spans, 1);
    check();
}

Test(shelf, a_block_that_is_moved_by_its_pages_goes_back_to_its_tract) {
    open_shelves();
    struct span *span = large(5), *end = large(1);
    size_t units;
    cr_assert(span_try_hold(span, &units));
    cr_assert_eq(units, 5);
    check();
    cr_assert_not(span_release_large(span), "nobody else frees it meanwhile");
    cr_assert_not(span_try_resize(span, 3));
    span_unhold(span, true);
    cr_assert_eq(span->state, SPAN_SHELVED);
    check();
    span = large(5);
    cr_assert(span_try_hold(span, &units));
    span_shelf_empty(); /* its tract goes meanwhile */
    span_unhold(span, true);
    cr_assert_eq(span->state, SPAN_FREE);
    check();
    cr_assert_eq(end->shelf, 0);
}

/* A tract more only if next to nothing is free; what fits nowhere is the page heap's until then. */
Test(shelf, what_is_free_in_tracts_is_bounded) {
    open_shelves();
    struct span *all[TRACT_UNITS / 4];
    for (size_t i = 0; i < TRACT_UNITS / 4; i++)
        all[i] = large(4);
    cr_assert_eq(lying().units, 0);
    span_release_large(all[1]);
    struct span *span = large(5);
    cr_assert_eq(span->shelf, 0);
    cr_assert_eq(shelves_all[0].count, 1);
    check();
    cr_assert_eq(large(4), all[1]);
    struct span *next = large(5);
    cr_assert_eq(shelves_all[0].count, 2);
    check();
    for (size_t i = 0; i < TRACT_UNITS / 4; i++)
        span_release_large(all[i]);
    cr_assert_eq(shelves_all[0].count, 2, "one that is free as a whole stays");
    check();
    span_release_large(next);
    cr_assert_eq(shelves_all[0].count, 1, "of two, one goes");
    cr_assert_eq(lying().units, TRACT_UNITS);
    check();
    span_release_large(span);
    cr_assert_eq(lying().units, TRACT_UNITS, "it was none of a tract");
    check();
}

/* Where each tract keeps a block, none of them is free as a whole. */
Test(shelf, no_more_is_free_than_in_use) {
    enum { COUNT = 10 * TRACT_UNITS / 4, KEPT = TRACT_UNITS / 4 };
    struct span *all[COUNT];
    open_shelves();
    for (size_t i = 0; i < COUNT; i++)
        all[i] = large(4);
    cr_assert_eq(shelves_all[0].count, 10);
    for (size_t i = 0; i < COUNT; i++) {
        if (i % KEPT > 0)
            span_release_large(all[i]);
        cr_assert_leq(shelves_all[0].units, max_size(2 * TRACT_UNITS, shelves_all[0].count * TRACT_UNITS / 2));
    }
    check();
    for (size_t i = 0; i < COUNT; i += KEPT) {
        cr_assert_eq(all[i]->state, SPAN_LARGE);
        span_release_large(all[i]);
    }
    check();
}

Test(shelf, there_are_no_more_tracts_than_places) {
    open_shelves();
    enum { COUNT = (SHELF_TRACTS + 2) * TRACT_UNITS / 6 };
    struct span *all[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        all[i] = large(6);
    cr_assert_eq(shelves_all[0].count, SHELF_TRACTS);
    cr_assert_eq(all[COUNT - 1]->shelf, 0);
    check();
    for (size_t i = 0; i < COUNT; i++)
        span_release_large(all[i]);
    cr_assert_eq(shelves_all[0].count, 1);
    check();
}

Test(shelf, a_block_goes_back_to_its_tract_whoever_frees_it) {
    open_shelves();
    struct span *span = large(5), *end = large(1);
    os_fake_processor = 1;
    struct span *other = large(5);
    cr_assert_eq(span->shelf, 1);
    cr_assert_eq(other->shelf, 2);
    span_release_large(span);
    cr_assert_eq(shelves_all[0].units, TRACT_UNITS - 1);
    cr_assert_eq(shelves_all[1].units, TRACT_UNITS - 5);
    check();
    cr_assert_eq(end->state, SPAN_LARGE);
    span_shelf_grow();
    cr_assert_eq(shelves.count, 2, "as many as there are processors");
    os_fake_processor = 3;
    span_release_large(large(1));
    span_shelf_grow();
    cr_assert_eq(shelves.count, 4);
    span_release_large(other), span_release_large(end);
    check();
}

static pthread_barrier_t both;

static void *have_shelf(void *shelf) {
    lock_acquire(&((struct shelf *)shelf)->lock, LOCK_SHELF);
    pthread_barrier_wait(&both);
    pthread_barrier_wait(&both);
    lock_release(&((struct shelf *)shelf)->lock, LOCK_SHELF);
    return NULL;
}

Test(shelf, of_another_shelf_blocks_are_cut_if_nobody_is_at_it) {
    pthread_t thread;
    open_shelves();
    struct span *first = large(2);
    os_fake_processor = 1;
    for (size_t i = 0; i < TRACT_UNITS / 4; i++)
        large(4);
    cr_assert_eq(shelves_all[1].units, 0);
    span_release_large(large(5)); /* a second tract, and what is free of it is too much for a third */
    struct span *half = large(SHELF_BLOCK_UNITS), *most = large(SHELF_BLOCK_UNITS - 3);
    cr_assert_eq(shelves_all[1].units, 3);
    cr_assert_eq(large(4)->shelf, 1, "from the other one");
    check();
    pthread_barrier_init(&both, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, have_shelf, &shelves_all[0]), 0);
    pthread_barrier_wait(&both);
    cr_assert_eq(large(4)->shelf, 0, "from the page heap");
    pthread_barrier_wait(&both);
    pthread_join(thread, NULL);
    cr_assert_eq(large(4)->shelf, 1);
    check();
    span_release_large(first), span_release_large(half), span_release_large(most);
    check();
}

Test(shelf, statistics_tell_exactly_what_lies_there) {
    struct stats before, after;
    open_shelves();
    stats_read(&before);
    struct span *a = large(7), *b = large(1), *c = large(7);
    cr_assert_eq(b->shelf, 1);
    stats_read(&after);
    cr_assert_eq(after.free_spans, before.free_spans + (TRACT_UNITS - 15) * UNIT);
    cr_assert_eq(after.free_dirty, before.free_dirty, "nobody had the rest of the tract");
    before = after;
    span_release_large(a), span_release_large(c);
    stats_read(&after);
    cr_assert_eq(after.large, before.large - 14 * UNIT);
    cr_assert_eq(after.large_count, before.large_count - 2);
    cr_assert_eq(after.free_spans, before.free_spans + 14 * UNIT);
    cr_assert_eq(after.free_span_count, before.free_span_count + 1);
    cr_assert_eq(after.free_dirty, before.free_dirty + 14 * UNIT);
    struct span *part = large(2);
    stats_read(&after);
    cr_assert_eq(after.large, before.large - 12 * UNIT);
    cr_assert_eq(after.large_count, before.large_count - 1);
    cr_assert_eq(after.live + after.cached + after.free + after.metadata, after.taken);
    span_release_large(part);
    span_shelf_empty();
    stats_read(&after);
    cr_assert_eq(after.large_count, before.large_count - 2);
    cr_assert_eq(span_totals.large_count, after.large_count, "settled");
    cr_assert_eq(after.large, before.large - 14 * UNIT);
    check();
}

/* The blocks of a tract that is dissolved are as all others; of what was free in it, what nobody had is clean. */
Test(shelf, the_blocks_of_a_tract_outlive_it) {
    open_shelves();
    struct span *a = large(5), *b = large(6), *c = large(7);
    span_release_large(b);
    size_t dirty = span_totals.free_dirty;
    span_shelf_empty();
    cr_assert_eq(shelves_all[0].count, 0);
    cr_assert_eq(a->shelf + c->shelf, 0);
    cr_assert_eq(b->state, SPAN_FREE);
    cr_assert_eq(span_totals.free_dirty, dirty + 6);
    check();
    span_release_large(a), span_release_large(c);
    cr_assert_eq(a->state, SPAN_FREE);
    cr_assert_geq(a->units, TRACT_UNITS);
    check();
}

/* ---- back to the page heap, and to the OS -------------------------------------------------------------------------- */

Test(shelf, a_trim_empties_it) {
    open_shelves();
    struct span *span = large(20), *end = large(1);
    memset(span_address(span), 1, 20 * UNIT);
    span_release_large(span);
    os_fake_purged = 0;
    cr_assert_geq(plain_trim(0), 20 * UNIT);
    cr_assert_eq(lying().spans, 0);
    cr_assert_geq(os_fake_purged, 20 * UNIT);
    cr_assert_not(span_shelf_is_open());
    check();
    cr_assert_eq(large(1)->shelf, 0);
    span_release_large(end);
    check();
}

Test(shelf, what_is_free_for_a_period_goes_with_the_sweep) {
    open_shelves();
    struct span *a = large(10), *b = large(1), *c = large(TRACT_UNITS - 11);
    cr_assert_eq(c->shelf, 0, "it is too large");
    struct span *d = large(SHELF_BLOCK_UNITS), *e = large(TRACT_UNITS - 11 - SHELF_BLOCK_UNITS);
    cr_assert_eq(tract()->free, 0);
    span_release_large(a);
    shelves_all[0].uses = 2000; /* it is not quiet */
    span_shelf_age();
    cr_assert_eq(lying().units, 10, "since this period");
    shelves_all[0].uses = 2000;
    span_release_large(large(10));
    span_shelf_age();
    cr_assert_eq(lying().units, 10, "it was used");
    check();
    shelves_all[0].uses = 2000;
    span_release_large(large(3));
    span_release_large(e);
    span_shelf_age();
    cr_assert_eq(shelves_all[0].count, 0, "a part of it was not");
    struct region *region = &regions[a->region];
    cr_assert_eq(span_dirty_count(region, span_index(a), 10), 10);
    cr_assert_eq(span_dirty_count(region, span_index(e), 10), 10, "what is new is free, too");
    struct sweep sweep = {0}; /* of the same period: what was free for a whole one goes */
    cr_assert_eq(span_sweep(&sweep, (struct sweep_bound){SIZE_MAX, SIZE_MAX}), 7 * UNIT);
    cr_assert_eq(span_dirty_count(region, span_index(a), 10), 3);
    check();
    cr_assert(span_shelf_is_open());
    cr_assert_eq(b->shelf + d->shelf, 0);
}

Test(shelf, there_is_none_when_it_is_quiet) {
    open_shelves();
    struct span *a = large(20), *b = large(20);
    span_release_large(a);
    cr_assert(decay_has_work());
    span_shelf_age();
    cr_assert_not(span_shelf_is_open());
    cr_assert_eq(lying().spans, 0);
    cr_assert_eq(a->state, SPAN_FREE);
    check();
    span_release_large(b);
    cr_assert_eq(lying().spans, 0, "as without");
    check();
}

Test(shelf, a_silence_gives_all_of_it_to_the_os) {
    open_shelves();
    struct span *span = large(20), *end = large(1);
    memset(span_address(span), 1, 20 * UNIT);
    span_release_large(span);
    os_fake_purged = 0;
    shelves_all[0].uses = 2000;
    os_fake_clock += 10 * tunables.decay_ms;
    decay_look(os_fake_clock);
    cr_assert_eq(lying().spans, 0, "at the first look");
    for (int i = 0; i < 200; i++) {
        os_fake_clock += 50;
        decay_look(os_fake_clock);
    }
    cr_assert_geq(os_fake_purged, 20 * UNIT);
    cr_assert_not(decay_has_work());
    check();
    cr_assert_eq(end->state, SPAN_LARGE);
}

Test(shelf, nothing_is_cut_there_where_memory_goes_at_once) {
    open_shelves();
    struct span *before = large(20);
    tunables.decay_ms = 0;
    cr_assert_eq(large(20)->shelf, 0);
    cr_assert(span_release_large(before), "what was, goes back");
    check();
}

/* As many calls as there may be: a block of a tract is not kept there until a sweep finds it old. */
Test(shelf, where_memory_is_to_go_at_once_from_now_on_it_does) {
    open_shelves();
    struct span *a = large(5), *b = large(6);
    shelves_all[0].uses = 2000;
    tunables.decay_ms = 0;
    decay_changed();
    cr_assert_eq(lying().units, 0);
    check();
    os_fake_purged = 0;
    cr_assert(span_release_large(a) && span_release_large(b));
    cr_assert_eq(os_fake_purged, 11 * UNIT);
    check();
}

/* The thread that closes them waits for a shelf when another one forks, and is not in the child. */
Test(shelf, a_child_that_is_forked_while_they_are_closed_has_none) {
    open_shelves();
    struct span *span = large(5), *end = large(1);
    span_release_large(span);
    span_shelf_forked();
    cr_assert_eq(lying().units, TRACT_UNITS - 1, "open ones stay");
    shelves.count = 0;
    span_shelf_forked();
    cr_assert_eq(lying().units, 0);
    cr_assert_eq(span->state, SPAN_FREE);
    cr_assert_eq(end->shelf, 0);
    check();
}

/* A tract may be the last units for which there are dirty bits. */
Test(shelf, bits_behind_the_last_unit_are_not_looked_at) {
    char *page = mmap(NULL, 2 * OS_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)page, MAP_FAILED);
    cr_assert_eq(mprotect(page, OS_PAGE, PROT_READ | PROT_WRITE), 0);
    struct region region = {.dirty = (struct dirty_word *)(void *)page};
    size_t end = OS_PAGE / sizeof(struct dirty_word) * 64, first = end - 10 - TRACT_UNITS;
    span_dirty_set(&region, first + 1, 2, true);
    span_dirty_set(&region, end - 64 - 1, 2, true);
    cr_assert_eq(span_dirty_bits(&region, first, TRACT_UNITS) & (((uint64_t)1 << TRACT_UNITS) - 1), 6);
    cr_assert_eq(span_dirty_bits(&region, end - 64 - 1, 64), 3 | (uint64_t)6 << 7);
}

/* The OS refuses: what is free in tracts serves, in one piece with what is beside it. */
Test(shelf, where_memory_is_refused_it_serves) {
    bool zeroed;
    struct span *a = large(30), *b = large(30), *end = large(1);
    os_fake_refuse_brk = os_fake_refuse_map = 1;
    while (span_acquire_large(1, UNIT, &zeroed) != NULL)
        continue;
    span_release_large(a), span_release_large(b);
    open_shelves();
    struct span *c = large(4);
    cr_assert_eq(c->shelf, 1);
    cr_assert_null(span_acquire_large(60, UNIT, &zeroed));
    span_release_large(c);
    void *p = plain_alloc(60 * UNIT, BLOCK_ALIGN, &zeroed);
    cr_assert_eq((char *)p, span_address(a));
    cr_assert_eq(lying().spans, 0);
    cr_assert_null(plain_alloc(60 * UNIT, BLOCK_ALIGN, &zeroed));
    cr_assert_null(plain_alloc(4 * UNIT, BLOCK_ALIGN, &zeroed), "nor has a shelf any");
    check();
    plain_free(p, "free");
    cr_assert_not_null(plain_alloc(32 * UNIT, 16 * UNIT, &zeroed), "also aligned, from there");
    check();
    cr_assert_not_null(end);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 4000, HAVE = 8 };

static _Atomic(unsigned char *) boxes[THREADS];
static _Atomic size_t wrong;

static void drop(unsigned char *p) {
    if (p == NULL)
        return;
    wrong += p[1] != p[0] || p[plain_usable(p) - 1] != p[0];
    plain_free(p, "free");
}

static unsigned char *make(uint64_t *random) {
    bool zeroed;
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    unsigned char *p = plain_alloc(33 * KIB + (*random >> 40) % (223 * KIB), BLOCK_ALIGN, &zeroed);
    p[0] = p[1] = p[plain_usable(p) - 1] = (unsigned char)(*random >> 33);
    return p;
}

static void *trade(void *data) {
    uint64_t random = (uintptr_t)data * 77 + 1;
    os_fake_processor = (unsigned)(uintptr_t)data;
    unsigned char *mine[HAVE] = {NULL};
    for (size_t i = 0; i < ROUNDS; i++) {
        unsigned char **at = &mine[(random >> 50) % HAVE];
        if (i % 4 == 0)
            drop(atomic_exchange(&boxes[(uintptr_t)data % THREADS], *at));
        else
            drop(*at);
        *at = make(&random);
        if (i % 16 == 0)
            os_fake_processor = (os_fake_processor + 1) % THREADS;
        if (i % 512 == 511 && verify_heap() != 0)
            wrong++;
    }
    for (size_t i = 0; i < HAVE; i++)
        drop(mine[i]);
    return NULL;
}

static void run_threads(void) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, trade, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        drop(atomic_exchange(&boxes[i], NULL));
}

Test(shelf, threads_take_free_and_hand_over) {
    open_shelves();
    span_shelf_grow();
    struct stats before, after;
    stats_read(&before);
    run_threads();
    cr_assert_eq(wrong, 0);
    check();
    stats_read(&after);
    cr_assert_eq(after.large_count, before.large_count);
    cr_assert_eq(after.large, before.large);
    span_shelf_empty();
    check();
    cr_assert_eq(span_totals.large_count, after.large_count);
}

static _Atomic bool stop;

/* Grows, counts, ages and empties them all the time. */
static void *meddle(void *unused) {
    struct shelf_totals totals;
    for (int i = 0; !stop; i++) {
        span_shelf_grow();
        span_shelf_count(&totals);
        if (i % 3 == 0)
            span_shelf_age();
        if (i % 7 == 0)
            span_shelf_empty();
        usleep(100);
    }
    return unused;
}

Test(shelf, others_open_close_and_empty_them_meanwhile) {
    pthread_t thread;
    open_shelves();
    cr_assert_eq(pthread_create(&thread, NULL, meddle, NULL), 0);
    run_threads();
    stop = true;
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(wrong, 0);
    check();
}
