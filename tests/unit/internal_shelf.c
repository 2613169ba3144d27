/* SPDX-License-Identifier: MIT */
/* Shelves: what lies there, how it is cut and joined, when it goes to the page heap; and what threads do with them at once. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
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

/* Blocks that others could be told by are in use on both sides of each. */
static struct span *between[64];
static void take(struct span **spans, size_t count, size_t units) {
    for (size_t i = 0; i < count; i++) {
        spans[i] = large(units);
        between[i] = large(1);
    }
}

static void open_shelves(void) {
    cr_assert_not_null(large(64)); /* so that a shelf has room */
    cr_assert_not_null(large(64));
    span_shelf_grow();
    cr_assert(span_shelf_is_open());
}

Test(shelf, there_is_none_until_the_lock_is_found_taken_often) {
    struct span *span = large(5), *end = large(1);
    span_release(span);
    span_release(end);
    cr_assert_not(span_shelf_is_open());
    cr_assert_eq(lying().spans, 0);
    cr_assert_eq(shelves.opened, 0);
    for (int i = 0; i < 1000; i++) { /* now and then is not often */
        page_heap.crowded += i % (2 * CROWDED_PART) == 0 ? CROWDED_PART : 0;
        span_release(large(5));
    }
    cr_assert_lt(page_heap.crowded, CROWDED_MOST);
    cr_assert_not(span_shelf_is_open());
}

static pthread_barrier_t both;

static void *have_shelf(void *shelf) {
    lock_acquire(&((struct shelf *)shelf)->lock, LOCK_SHELF);
    pthread_barrier_wait(&both);
    pthread_barrier_wait(&both);
    lock_release(&((struct shelf *)shelf)->lock, LOCK_SHELF);
    return NULL;
}

Test(shelf, one_that_another_thread_has_is_left_alone) {
    struct span *spans[2];
    struct shelf *mine = shelves_all;
    pthread_t thread;
    open_shelves();
    take(spans, 2, 5);
    span_release_large(spans[0]);
    while (mine->count == 0)
        mine++;
    pthread_barrier_init(&both, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, have_shelf, mine), 0);
    pthread_barrier_wait(&both);
    span_release_large(spans[1]);
    cr_assert_eq(spans[1]->state, SPAN_FREE, "to the page heap");
    cr_assert_neq(large(5), spans[0], "from there");
    cr_assert_eq(mine->count, 1);
    pthread_barrier_wait(&both);
    pthread_join(thread, NULL);
    cr_assert_eq(large(5), spans[0]);
    check();
}

Test(shelf, what_is_freed_serves_the_next_block_of_its_size) {
    struct span *spans[3];
    open_shelves();
    take(spans, 3, 5);
    size_t large_units = span_totals.large;
    cr_assert(span_release_large(spans[1]));
    cr_assert_eq(spans[1]->state, SPAN_SHELVED);
    cr_assert_eq(lying().units, 5);
    check();
    cr_assert_not(span_release_large(spans[1]), "a second free is told");
    cr_assert(span_is_free(span_address(spans[1])));
    cr_assert(span_is_free(span_address(spans[1]) + 3 * UNIT));
    cr_assert_null(span_find(span_address(spans[1])));
    size_t units;
    cr_assert_not(span_try_resize(spans[1], 1));
    cr_assert_not(span_try_hold(spans[1], &units));
    bool zeroed = true;
    cr_assert_eq(span_acquire_large(5, UNIT, &zeroed), spans[1]);
    cr_assert_not(zeroed);
    cr_assert_eq(spans[1]->state, SPAN_LARGE);
    cr_assert_eq(span_totals.large, large_units);
    cr_assert_eq(lying().spans, 0);
    check();
}

Test(shelf, the_best_fit_is_cut_and_neighbours_join) {
    struct span *spans[3];
    open_shelves();
    struct span *whole = large(12), *end = large(1);
    take(spans, 3, 9);
    span_release_large(spans[0]);
    span_release_large(whole);
    struct span *a = large(4), *b = large(8);
    cr_assert_eq(a, spans[0], "the smaller one is enough");
    cr_assert_eq(b, whole);
    cr_assert_eq(lying().spans, 2, "the rests of 5 and 4");
    check();
    span_release_large(b);
    cr_assert_eq(lying().spans, 2, "one is whole again");
    cr_assert_eq(whole->units, 12);
    struct span *c = large(3), *d = large(4);
    cr_assert_eq(c, a + 4);
    cr_assert_eq(d, whole);
    check();
    span_release_large(a); /* in front of the rest of 2, and of c between */
    span_release_large(c);
    cr_assert_eq(lying().spans, 2);
    cr_assert_eq(a->units, 9, "three are one");
    check();
    span_release(end);
}

Test(shelf, if_nothing_is_large_enough_all_goes_to_the_page_heap_first) {
    open_shelves();
    struct span *a = large(4), *b = large(4), *c = large(4), *end = large(1);
    span_release_large(a), span_release_large(c);
    cr_assert_eq(lying().spans, 2);
    page_heap.crowded = 0;
    struct span *d = large(5);
    cr_assert_eq(lying().spans, 0);
    cr_assert(a->state == SPAN_FREE && c->state == SPAN_FREE);
    cr_assert_geq(span_dirty_count(&regions[a->region], span_index(a), 4), 4, "they hold what they held");
    check();
    span_release_large(b), span_release_large(d), span_release_large(end);
    check();
}

Test(shelf, room_and_places_are_bounded) {
    enum { COUNT = 60, FEW = SHELF_PLACES - 2 };
    struct span *spans[COUNT];
    open_shelves();
    take(spans, FEW, SHELF_UNITS / 8);
    for (size_t i = 0; i < FEW; i++) {
        span_release_large(spans[i]);
        cr_assert_leq(lying().units, SHELF_UNITS);
        check();
    }
    take(spans, COUNT, 3);
    for (size_t i = 0; i < COUNT; i++) {
        span_release_large(spans[i]);
        cr_assert_leq(lying().units, SHELF_UNITS);
        cr_assert_lt(lying().spans, SHELF_PLACES);
        check();
    }
    cr_assert_gt(lying().spans, 0);
    struct span *big = large(SHELF_UNITS + 1), *edge = large(1);
    struct shelf_totals before = lying();
    span_release_large(big);
    cr_assert_eq(lying().units, before.units, "it is larger than any shelf");
    check();
    for (size_t i = 0; i < COUNT; i++) { /* neighbours that join must not come to more than the room */
        span_release_large(between[i]);
        cr_assert_leq(lying().units, SHELF_UNITS);
    }
    check();
    span_release_large(edge);
    check();
}

Test(shelf, statistics_tell_exactly_what_lies_there) {
    struct span *spans[4];
    struct stats before, after;
    open_shelves();
    take(spans, 4, 7);
    stats_read(&before);
    span_release_large(spans[0]), span_release_large(spans[2]);
    stats_read(&after);
    cr_assert_eq(after.large, before.large - 14 * UNIT);
    cr_assert_eq(after.large_count, before.large_count - 2);
    cr_assert_eq(after.free_spans, before.free_spans + 14 * UNIT);
    cr_assert_eq(after.free_span_count, before.free_span_count + 2);
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

/* ---- back to the page heap, and to the OS -------------------------------------------------------------------------- */

Test(shelf, a_trim_empties_it) {
    struct span *spans[2];
    open_shelves();
    take(spans, 2, 20);
    memset(span_address(spans[0]), 1, 20 * UNIT);
    span_release_large(spans[0]);
    os_fake_purged = 0;
    cr_assert_geq(plain_trim(0), 20 * UNIT);
    cr_assert_eq(lying().spans, 0);
    cr_assert_geq(os_fake_purged, 20 * UNIT);
    check();
}

Test(shelf, what_lies_there_for_a_period_goes_with_the_sweep) {
    struct span *spans[2];
    open_shelves();
    take(spans, 2, 20);
    span_release_large(spans[0]);
    shelves_all[0].uses = 2000; /* it is not quiet */
    span_shelf_age();
    cr_assert_eq(lying().units, 20, "since this period");
    shelves_all[0].uses = 2000;
    span_release_large(large(3));
    span_shelf_age();
    cr_assert_eq(lying().units, 20, "what was cut and joined is new");
    shelves_all[0].uses = 2000;
    span_shelf_age();
    cr_assert_eq(lying().units, 0);
    cr_assert_eq(span_dirty_count(&regions[spans[0]->region], span_index(spans[0]), 20), 20);
    struct sweep sweep = {0}; /* of the same period: it was free for a whole one */
    cr_assert_geq(span_sweep(&sweep, (struct sweep_bound){SIZE_MAX, SIZE_MAX}), 20 * UNIT);
    check();
    cr_assert(span_shelf_is_open());
}

Test(shelf, there_is_none_when_it_is_quiet) {
    struct span *spans[2];
    open_shelves();
    take(spans, 2, 20);
    span_release_large(spans[0]);
    cr_assert(decay_has_work());
    span_shelf_age();
    cr_assert_not(span_shelf_is_open());
    cr_assert_eq(lying().spans, 0);
    cr_assert_eq(spans[0]->state, SPAN_FREE);
    check();
    span_release_large(spans[1]);
    cr_assert_eq(lying().spans, 0, "as without");
    check();
}

Test(shelf, a_silence_gives_all_of_it_to_the_os) {
    struct span *spans[2];
    open_shelves();
    take(spans, 2, 20);
    memset(span_address(spans[0]), 1, 20 * UNIT);
    span_release_large(spans[0]);
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
}

Test(shelf, nothing_lies_there_where_memory_goes_at_once) {
    struct span *spans[2];
    open_shelves();
    take(spans, 2, 20);
    tunables.decay_ms = 0;
    span_release_large(spans[0]);
    cr_assert_eq(lying().spans, 0);
    check();
}

/* The OS refuses: the memory that lies on shelves serves, in one piece with what is beside it. */
Test(shelf, where_memory_is_refused_it_serves) {
    bool zeroed;
    open_shelves();
    struct span *a = large(30), *b = large(30), *end = large(1);
    os_fake_refuse_brk = os_fake_refuse_map = 1;
    while (span_acquire_large(1, UNIT, &zeroed) != NULL)
        continue;
    span_release_large(a);
    span_release_large(b);
    cr_assert_eq(lying().units, 60);
    void *p = plain_alloc(60 * UNIT, BLOCK_ALIGN, &zeroed);
    cr_assert_eq((char *)p, span_address(a));
    cr_assert_eq(lying().spans, 0);
    cr_assert_null(plain_alloc(60 * UNIT, BLOCK_ALIGN, &zeroed));
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
    unsigned char *mine[HAVE] = {NULL};
    for (size_t i = 0; i < ROUNDS; i++) {
        unsigned char **at = &mine[(random >> 50) % HAVE];
        if (i % 4 == 0)
            drop(atomic_exchange(&boxes[(uintptr_t)data % THREADS], *at));
        else
            drop(*at);
        *at = make(&random);
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
