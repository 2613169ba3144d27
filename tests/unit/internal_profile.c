/* SPDX-License-Identifier: MIT */
/* The heap profile from inside: its arithmetic beside libm's, sums beside exact counts, counted lists, slabs, records. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/exponential.h"
#include "base/sizeclass.h"
#include "heap/cache.h"
#include "heap/cache_counted.h"
#include "heap/mode_switch.h"
#include "heap/plain.h"
#include "heap/slab.h"
#include "heap/unitmap.h"
#include "kit/budget.h"
#include "observe/profile.h"
#include "observe/tags.h"
#include "observe/stats.h"
#include "process/verify.h"
#include "api/front.h"

enum { INTERVAL = 4096, RUNS = 100 };

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static bool are_near(double a, double b) {
    return fabs(a - b) <= 1e-14 * fabs(b);
}

Test(exponential, chances_are_those_of_libm) {
    for (double x = 1e-12; x < 100; x *= 1.01)
        cr_assert(are_near(exponential_chance(x), -expm1(-x)), "1 - exp(-%g): %.17g, not %.17g", x, exponential_chance(x),
                  -expm1(-x));
    cr_assert_eq(exponential_chance(0), 0);
}

Test(exponential, draws_are_those_of_libm) {
    uint64_t state = 7;
    for (int i = 0; i < 100000; i++) {
        uint64_t random = exponential_random(&state);
        double libms = -log((double)((random >> 11) + 1) / 9007199254740992.0);
        double draw = exponential_draw(random);
        cr_assert(fabs(draw - libms) <= 1e-14 * fmax(1, libms), "%.17g, not %.17g", draw, libms);
    }
    cr_assert_eq(exponential_draw(UINT64_MAX), 0);
    cr_assert(fabs(exponential_draw(0) - 53 * log(2)) < 1e-12);
}

/* Mean and spread of an exponential distribution are both 1. */
Test(exponential, draws_are_exponential) {
    enum { DRAWS = 1000000 };
    uint64_t state = exponential_seed(1, 2);
    double sum = 0, squares = 0;
    int above_2 = 0;
    for (int i = 0; i < DRAWS; i++) {
        double draw = exponential_draw(exponential_random(&state));
        sum += draw;
        squares += draw * draw;
        above_2 += draw > 2;
    }
    cr_assert_float_eq(sum / DRAWS, 1, 0.005);
    cr_assert_float_eq(squares / DRAWS, 2, 0.02);
    cr_assert_float_eq((double)above_2 / DRAWS, exp(-2), 0.002);
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

/* What the profile says was allocated so far of a class. */
static struct profile_sum all_of(unsigned class) {
    struct profile_totals totals;
    struct profile_sum sum = {0, 0};
    size_t room;
    struct profile_site *sites = profile_table_copy(&totals, &room);
    for (size_t i = 0; sites != NULL && i < totals.sites; i++)
        if ((sites[i].key >> 32 & 0xff) == class) {
            sum.weight += sites[i].all.weight;
            sum.bytes += sites[i].all.bytes;
        }
    if (sites != NULL)
        budget_unmap(sites, room);
    return sum;
}

static struct profile_totals totals_now(void) {
    struct profile_totals totals;
    size_t room;
    struct profile_site *sites = profile_table_copy(&totals, &room);
    if (sites != NULL)
        budget_unmap(sites, room);
    return totals;
}

static void use(size_t bytes, int times) {
    for (int i = 0; i < times; i++)
        front_free(front_alloc(bytes, "malloc"), "free");
}

/* Sizes whose blocks are sampled with chances from 0.004 to 1 - 1e-7, small, wide and large ones; loops over one block among
 * them. Of each the count must lie within 1.96 standard deviations of what it is, in 95 of 100 runs: a binomial number, of
 * which fewer than 88 happen once in 1000. All of them together are 800, of which 740 would be 3.2 deviations too few. */
Test(profile, sums_lie_in_their_intervals) {
    static const struct {
        size_t bytes;
        int times;
    } use_of[] = {{16, 20000}, {48, 9000}, {200, 3000}, {1000, 900}, {5000, 300}, {16000, 200}, {20000, 100}, {40000, 100}};
    enum { USES = sizeof use_of / sizeof *use_of };
    int inside[USES] = {0}, all = 0;
    for (int run = 0; run < RUNS; run++) {
        profile_on(INTERVAL, (uint64_t)run + 1);
        for (int i = 0; i < USES; i++) {
            unsigned class = use_of[i].bytes <= FAST_MAX ? class_of(use_of[i].bytes) : 0;
            double size = class != 0 ? (double)class_bytes(class) : (double)use_of[i].bytes;
            double chance = exponential_chance(size / INTERVAL), n = use_of[i].times;
            uint64_t before = all_of(class).weight;
            use(use_of[i].bytes, use_of[i].times);
            double counted = (double)(all_of(class).weight - before) / COUNTED_ONE;
            inside[i] += fabs(counted - n) <= 1.96 * sqrt(n * (1 - chance) / chance) + 0.001 * n * (chance > 0.98);
        }
    }
    for (int i = 0; i < USES; i++) {
        cr_assert(inside[i] >= 88, "%zu bytes: %d of %d runs inside", use_of[i].bytes, inside[i], RUNS);
        all += inside[i];
    }
    cr_assert(all >= 740, "%d of %d inside", all, RUNS * USES);
    cr_assert_eq(totals_now().live.weight, 0);
    cr_assert_eq(verify_heap(), 0);
}

Test(profile, totals_are_right_to_two_hundredths) {
    size_t exact = 0;
    profile_on(INTERVAL, 1);
    for (int i = 0; i < 400000; i++) {
        size_t bytes = (size_t)(i * 37 % 2000) + 1;
        front_free(front_alloc(bytes, "malloc"), "free");
        exact += bytes;
    }
    double counted = (double)totals_now().all.bytes;
    cr_assert(fabs(counted / (double)exact - 1) < 0.02, "%.0f of %zu", counted, exact);
}

/* The same seed samples the same allocations; another one others. */
static uint64_t weight_with_seed(uint64_t seed) {
    uint64_t before = totals_now().all.weight;
    profile_on(INTERVAL, seed);
    use(300, 5000);
    use(70000, 50);
    profile_off();
    return totals_now().all.weight - before;
}

Test(profile, is_the_same_with_the_same_seed) {
    uint64_t first = weight_with_seed(5);
    cr_assert_eq(weight_with_seed(5), first);
    cr_assert_neq(weight_with_seed(6), first);
}

Test(profile, records_all_at_an_interval_of_one_byte) {
    enum { N = 1000 };
    static void *blocks[N];
    size_t bytes = 0;
    profile_on(1, 1);
    for (int i = 0; i < N; i++) {
        blocks[i] = front_alloc((size_t)i * 50, "malloc");
        bytes += (size_t)i * 50;
    }
    struct profile_totals totals = totals_now();
    cr_assert_eq(totals.live.weight, N * COUNTED_ONE);
    cr_assert_eq(totals.live.bytes, bytes);
    cr_assert_eq(totals.live_samples, N);
    for (int i = 0; i < N; i++)
        front_free(blocks[i], "free");
    totals = totals_now();
    cr_assert_eq(totals.live.bytes, 0);
    cr_assert_eq(totals.peak.bytes, bytes);
    cr_assert_eq(totals.all.bytes, bytes);
    cr_assert_eq(verify_heap(), 0);
}

/* What each site had at the peak, which it has left since or not. */
Test(profile, keeps_what_was_live_at_the_peak) {
    profile_on(1, 1);
    void *a = front_alloc(100, "malloc"), *b = front_alloc(3000, "malloc");
    front_free(a, "free");
    void *c = front_alloc(50, "malloc");
    struct profile_totals totals;
    size_t room;
    struct profile_site *sites = profile_table_copy(&totals, &room);
    cr_assert_eq(totals.peak.bytes, 3100);
    cr_assert_eq(totals.sites, 3);
    for (size_t i = 0; i < totals.sites; i++) {
        size_t class = sites[i].key >> 32 & 0xff;
        cr_assert_eq(sites[i].peak.bytes, class == class_of(100) ? 100 : class == class_of(3000) ? 3000 : 0);
    }
    budget_unmap(sites, room);
    front_free(b, "free");
    front_free(c, "free");
}

/* ---- resizing ---------------------------------------------------------------------------------------------------- */

Test(profile, a_block_resized_in_place_keeps_its_record) {
    profile_on(1, 1);
    void *p = front_alloc(1000, "malloc");
    cr_assert_eq(front_realloc(p, 900, "realloc"), p);
    struct profile_totals totals = totals_now();
    cr_assert_eq(totals.live.bytes, 1000);
    cr_assert_eq(totals.samples, 1);
    p = front_realloc(p, 5000, "realloc");
    totals = totals_now();
    cr_assert_eq(totals.live.bytes, 5000);
    cr_assert_eq(totals.all.bytes, 6000);
    p = front_realloc(p, 100000, "realloc");
    p = front_realloc(p, 3000000, "realloc");
    totals = totals_now();
    cr_assert_eq(totals.live.bytes, 3000000);
    cr_assert_eq(totals.live_samples, 1);
    cr_assert_eq(totals.all.bytes, 3106000);
    front_free(p, "free");
    cr_assert_eq(totals_now().live_samples, 0);
}

/* ---- counted lists ----------------------------------------------------------------------------------------------- */

static void *fill_list(size_t bytes) {
    void *blocks[6];
    for (int i = 0; i < 6; i++)
        blocks[i] = front_alloc(bytes, "malloc");
    for (int i = 0; i < 5; i++)
        front_free(blocks[i], "free");
    return blocks[5];
}

Test(counted, lists_are_kept_and_not_seen) {
    unsigned class = class_of(64);
    profile_on(SIZE_MAX / 4, 1);
    void *p = fill_list(64);
    cr_assert_eq(cache_self.lists, LISTS_COUNTED);
    cr_assert_eq(cache_self.bins[class].limit, 0);
    cr_assert_neq(unitmap_find(p), 0);
    front_free(p, "free");
    cr_assert_eq(cache_self.slow->spare[class], p);
    void *last = p;
    while (cache_self.slow->spare[class] != NULL) /* until what was there is counted, and in the bin */
        last = front_alloc(64, "malloc");
    cr_assert_eq(last, p);
    cr_assert_eq(verify_heap(), 0);
}

Test(counted, is_switched_in_both_directions) {
    for (int i = 0; i < 20; i++) {
        profile_on(INTERVAL, 1);
        void *p = fill_list(100), *q = fill_list(3000);
        cr_assert_eq(cache_self.lists, LISTS_COUNTED);
        cr_assert_eq(verify_heap(), 0);
        mode_switch_on(MODE_PERTURB);
        front_free(p, "free");
        cr_assert_eq(cache_self.lists, LISTS_OFF);
        mode_switch_off(MODE_PERTURB);
        cr_assert_eq(cache_self.lists, LISTS_COUNTED);
        profile_off();
        front_free(q, "free");
        p = fill_list(100);
        cr_assert_eq(cache_self.lists, LISTS_PLAIN);
        cr_assert_eq(verify_heap(), 0);
        front_free(p, "free");
    }
}

/* Without a list of it a thread would not see that calls are counted; so frees are slow until it has. */
Test(counted, waits_for_lists_that_are_plain) {
    front_free(front_alloc(64, "malloc"), "free");
    static struct cache other;
    other = (struct cache){.slow = &(struct cache_slow){.prev = &cache_self}, .state = CACHE_OPEN};
    cache_self.slow->next = &other;
    void *p = front_alloc(64, "malloc");
    profile_on(INTERVAL, 1);
    cr_assert(mode_switch_hiding);
    cr_assert_eq(unitmap_find(p), 0);
    front_free(p, "free"); /* is taken to this thread's list as if it were seen */
    cr_assert_eq(cache_self.slow->spare[class_of(64)], p);
    other.lists = LISTS_COUNTED;
    mode_switch_look();
    cr_assert(!mode_switch_hiding);
    cr_assert_neq(unitmap_find(p), 0);
    cache_self.slow->next = NULL;
}

/* ---- slabs ------------------------------------------------------------------------------------------------------- */

Test(slab, blocks_share_a_unit_and_are_not_in_the_unit_map) {
    char *a = slab_alloc(class_of(100)), *b = slab_alloc(class_of(100)), *c = slab_alloc(class_of(5000));
    cr_assert_eq(unitmap_find(a), 0);
    cr_assert_eq(b, a + class_bytes(class_of(100)));
    cr_assert_eq(plain_usable(a), class_bytes(class_of(100)));
    cr_assert_eq(plain_start(b + 7), b);
    cr_assert_eq(plain_large_span(a), NULL);
    cr_assert_eq(plain_class(a), 0);
    memset(a, 1, plain_usable(a));
    memset(c, 1, plain_usable(c));
    struct slab_totals totals;
    slab_count(&totals);
    cr_assert_eq(totals.slabs, 2);
    cr_assert_eq(totals.blocks, 3);
    cr_assert_eq(verify_heap(), 0);
    front_free(a, "free");
    front_free(b, "free");
    front_free(c, "free");
    slab_count(&totals);
    cr_assert_eq(totals.slabs + totals.blocks + totals.bytes, 0);
    cr_assert_eq(verify_heap(), 0);
}

Test(slab, is_used_up_and_again) {
    enum { N = 40 }; /* 3 slabs of 16 slots */
    void *blocks[N];
    for (int i = 0; i < N; i++)
        blocks[i] = slab_alloc(class_of(1024));
    struct slab_totals totals;
    slab_count(&totals);
    cr_assert_eq(totals.slabs, 3);
    front_free(blocks[3], "free");
    cr_assert_eq(verify_heap(), 0);
    cr_assert_eq(slab_alloc(class_of(1024)), blocks[3]);
    for (int i = 0; i < N; i++)
        front_free(blocks[i], "free");
    slab_count(&totals);
    cr_assert_eq(totals.slabs, 0);
}

Test(slab, frees_of_no_block_are_refused) {
    char *a = slab_alloc(class_of(100)), *b = slab_alloc(class_of(100));
    struct span *slab = span_find(a);
    cr_assert(!slab_free(slab, a + 16));
    cr_assert(!slab_free(slab, b + class_bytes(class_of(100))));
    cr_assert(slab_free(slab, a));
    cr_assert(slab_was_block(a) && !slab_was_block(b));
    cr_assert(!slab_free(slab, a));
    cr_assert_eq(plain_usable(a), 0);
    cr_assert_eq(verify_heap(), 0);
}

Test(slab, z1_broken_is_found) {
    char *a = slab_alloc(class_of(100));
    struct span *slab = span_find(a);
    slab->live = 2;
    cr_assert_gt(verify_heap(), 0);
    slab->live = 1;
    cr_assert_eq(verify_heap(), 0);
}

Test(profile, q1_broken_is_found) {
    profile_on(1, 1);
    void *p = front_alloc(100, "malloc");
    cr_assert_eq(verify_heap(), 0);
    slab_free(span_find(p), p);
    struct profile_record record = profile_resizing(p);
    cr_assert_eq(record.bytes, 100);
    cr_assert_eq(strcmp(record.call, "malloc"), 0);
    cr_assert_eq(verify_heap(), 0);
    record.weight += COUNTED_ONE; /* a record that its site has not counted */
    struct profile_record right = record;
    right.weight -= COUNTED_ONE;
    profile_table_put_back(&right);
    profile_table_put_back(&record); /* the address twice: one record, two in the sums */
    cr_assert_gt(verify_heap(), 0);
}

/* ---- tags and lifetimes ------------------------------------------------------------------------------------------------ */

/* The only site, in *site. */
static size_t only_site(struct profile_site *site) {
    struct profile_totals totals;
    size_t room;
    struct profile_site *sites = profile_table_copy(&totals, &room);
    if (sites != NULL) {
        *site = sites[0];
        budget_unmap(sites, room);
    }
    return totals.sites;
}

Test(profile, lifetimes_are_those_of_what_is_freed) {
    struct profile_site site;
    struct profile_record record = {.block = 0x1000, .weight = 3 * COUNTED_ONE, .bytes = 10, .call = "malloc"};
    static const uint64_t ages[] = {0, 9, 10, 99, 100, 1000, 99999, 100000, 1000000000};
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
        record.time = 5000;
        profile_table_add(&record, 1, 0);
        struct profile_record removed = profile_table_remove((void *)0x1000);
        profile_table_end(&removed, 5000 + ages[i]);
    }
    profile_table_add(&record, 1, 0); /* moved about, and never freed */
    struct profile_record removed = profile_table_remove((void *)0x1000);
    profile_table_put_back(&removed);
    cr_assert_eq(only_site(&site), 1);
    static const uint64_t wanted[PROFILE_LIVES] = {2, 2, 1, 1, 1, 2};
    for (int i = 0; i < PROFILE_LIVES; i++)
        cr_expect_eq(site.lived[i], 3 * COUNTED_ONE * wanted[i], "%d", i);
    cr_assert_eq(site.live.weight, 3 * COUNTED_ONE);
}

Test(profile, tags_are_kept_once_each) {
    char text[80];
    cr_assert_eq(tags_number(NULL), 0);
    cr_assert_eq(tags_number(""), 0);
    cr_assert_eq(tags_word(0), NULL);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 1; i < 1400; i++) {
            snprintf(text, sizeof text, "tag %u", i);
            unsigned number = tags_number(text);
            cr_assert_eq(number, i < TAGS_MOST - 1 ? i : TAGS_MOST - 1, "%s: %u", text, number);
            cr_assert_str_eq(tags_word(number), i < TAGS_MOST - 1 ? text : "(more tags)");
        }
}

Test(profile, a_tag_is_cut_and_made_one_line) {
    char text[80], wanted[TAG_ROOM];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    memset(wanted, 'x', sizeof wanted);
    wanted[sizeof wanted - 1] = '\0';
    cr_assert_str_eq(tags_word(tags_number(text)), wanted);
    cr_assert_eq(tags_number(text), tags_number(wanted));
    cr_assert_str_eq(tags_word(tags_number("a\nb\t\x7f")), "a?b??");
}

static void *ask_for_tags(void *numbers) {
    char text[20];
    for (unsigned i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "%u", i);
        ((unsigned *)numbers)[i] = tags_number(text);
    }
    return NULL;
}

Test(profile, threads_agree_on_tags) {
    static unsigned numbers[4][200];
    pthread_t threads[4];
    char text[20];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, ask_for_tags, numbers[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "%u", i);
        unsigned number = tags_number(text); /* those that lost a race for it have taken numbers, too: 800 at the most */
        for (int k = 0; k < 4; k++)
            cr_assert(numbers[k][i] == number && strcmp(tags_word(number), text) == 0, "%s", text);
    }
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

Test(profile, statistics_add_up) {
    static struct stats stats;
    profile_on(1, 1);
    void *blocks[30];
    for (int i = 0; i < 30; i++)
        blocks[i] = front_alloc((size_t)i * 700 + 1, "malloc");
    stats_read(&stats);
    size_t usable = 0;
    for (int i = 0; i < 30; i++)
        usable += front_usable(blocks[i], "malloc_usable_size");
    cr_assert_eq(stats.live, usable);
    cr_assert_eq(stats.live_blocks, 30);
    cr_assert_eq(stats.live + stats.cached + stats.free + stats.metadata, stats.taken);
    for (int i = 0; i < 30; i++)
        front_free(blocks[i], "free");
}
