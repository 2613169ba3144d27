/* SPDX-License-Identifier: MIT */
/* The walk over all structures: nothing to say of a heap in use, and the right invariant named when one is broken. Each
 * test breaks one in a process of its own. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "kit/budget.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/central_class.h"
#include "heap/transfer.h"
#include "protect/check_records.h"
#include "base/freelist.h"
#include "api/front.h"
#include "heap/mapped.h"
#include "os_fake.h"
#include "heap/region.h"
#include "base/sizeclass.h"
#include "heap/span.h"
#include "heap/unitmap.h"
#include "process/verify.h"
#include "heap/mode_switch.h"

static char said[4096];

/* What the walk says on standard error. */
static size_t walk(void) {
    FILE *file = tmpfile();
    int real = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    size_t broken = verify_heap();
    dup2(real, STDERR_FILENO);
    ssize_t length = pread(fileno(file), said, sizeof said - 1, 0);
    said[length > 0 ? length : 0] = '\0';
    fclose(file);
    close(real);
    return broken;
}

static void names(const char *invariant) {
    char expected[64];
    snprintf(expected, sizeof expected, "myalloc: broken invariant: %s at 0x", invariant);
    cr_assert_gt(walk(), 0, "%s is not found", invariant);
    cr_assert_eq(strncmp(said, expected, strlen(expected)), 0, "expected %s, said %s", invariant, said);
}

enum { BLOCKS = 3000 };
static void *blocks[BLOCKS];
static struct span *first_free, *large; /* a FREE span, all clean or dirty; a LARGE one */

static bool find_free(const struct span *span) {
    return span->state == SPAN_FREE && span->units >= 4;
}

/* A heap with some of everything. */
static void use_heap(void) {
    bool zeroed;
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = front_alloc(i % 3 ? i % 1500 + 1 : 16, "malloc");
    struct span *hole = span_acquire_large(10, UNIT, &zeroed);
    large = span_acquire_large(3, UNIT, &zeroed);
    memset(span_address(hole), 1, 10 * UNIT);
    span_release(hole);
    cr_assert_not_null(front_alloc(10 * MIB, "malloc"));
    for (size_t i = 0; i < BLOCKS; i += 2)
        front_free(blocks[i], "free");
    cr_assert_eq(walk(), 0, "a heap in use: %s", said);
    cr_assert_eq(strlen(said), 0);
    for (size_t i = 0; i < regions[0].frontier && first_free == NULL; i++)
        if (find_free(&regions[0].spans[i]))
            first_free = &regions[0].spans[i];
    cr_assert_not_null(first_free);
}

static struct span *span_of(const void *p) {
    struct span *span = span_find(p);
    cr_assert(span != NULL && span->state == SPAN_SMALL);
    return span;
}

TestSuite(verify, .init = use_heap);

Test(verify, span_s1_length) {
    large->units = 0;
    names("span S1");
}

Test(verify, span_s1_part) {
    large[1].state = SPAN_PART;
    names("span S1");
}

Test(verify, span_s1_tail) {
    first_free[first_free->units - 1].head++;
    names("span S1");
}

Test(verify, span_s1_totals) {
    span_totals.large++;
    names("span S1");
}

/* Two spans where there should be one. */
Test(verify, span_s2) {
    size_t units = first_free->units;
    struct span *second = first_free + 2;
    *second = *first_free;
    second->units = (uint32_t)units - 2;
    first_free->units = 2;
    first_free[1].state = SPAN_TAIL;
    first_free[1].head = (uint32_t)(first_free - regions[0].spans);
    names("span S2");
}

Test(verify, span_s3_dirty) {
    span_totals.free_dirty++;
    names("span S3");
}

static struct dirty_word *word_of(const struct span *span) {
    return &regions[0].dirty[(size_t)(span - regions[0].spans) / 64];
}

Test(verify, span_s4_used) {
    size_t unit = (size_t)(large - regions[0].spans);
    word_of(large)->old |= (uint64_t)1 << unit % 64;
    names("span S4");
}

Test(verify, span_s4_both) {
    struct dirty_word *word = word_of(first_free);
    word->old = word->fresh;
    names("span S4");
}

Test(verify, span_s3_tree) {
    span_totals.free_count++;
    names("span S3");
}

Test(verify, span_s4_count) {
    first_free->dirty++;
    names("span S4");
}

Test(verify, span_s4_zeros) {
    span_purge(MIB);
    cr_assert_eq(walk(), 0, "%s", said);
    size_t first = (size_t)(first_free - regions[0].spans);
    cr_assert(first_free->state == SPAN_FREE && first_free->dirty == 0);
    *(char *)(regions[0].base + (first << UNIT_SHIFT)) = 1;
    names("span S4");
}

Test(verify, unitmap_u1_missing) {
    unitmap_set((uintptr_t)blocks[1], 1, 0);
    names("unitmap U1");
}

Test(verify, unitmap_u1_wrong) {
    unitmap_set((uintptr_t)span_address(large), 1, CLASS_STEP);
    names("unitmap U1");
}

Test(verify, unitmap_u2) {
    unitmap.limit = ((size_t)1 << (ADDRESS_BITS - UNIT_SHIFT)) + 1;
    names("unitmap U2");
}

Test(verify, region_r1) {
    regions[1] = regions[0];
    region_count = 2;
    names("region R1");
}

Test(verify, region_r2_order) {
    regions[0].max_units = regions[0].frontier - 1;
    names("region R2");
}

Test(verify, region_r2_zero) {
    *(char *)(regions[0].base + (regions[0].frontier << UNIT_SHIFT)) = 1;
    names("region R2");
}

Test(verify, region_r3) {
    os_fake_foreign_break(-(intptr_t)UNIT);
    names("region R3");
}

/* A class with memory enough to park chains. */
static struct block *parkable(size_t *count) {
    for (size_t held = 0; held < MIB; held += *count * class_bytes(7))
        cr_assert_not_null(central_take(7, 10, count));
    return central_take(7, 10, count);
}

Test(verify, transfer_x1) {
    transfer_threads = 2; /* a single one would not park so little */
    size_t count;
    struct block *chain = parkable(&count);
    cr_assert_gt(count, 1);
    central_give(7, chain, count - 1);
    names("transfer X1");
}

Test(verify, transfer_x1_circle) {
    transfer_threads = 2;
    size_t count;
    struct block *chain = parkable(&count);
    central_give(7, chain, count);
    chain->next = chain;
    names("transfer X1");
}

Test(verify, central_c1) {
    span_of(blocks[1])->listed = !span_of(blocks[1])->listed;
    names("central C1");
}

Test(verify, central_c2) {
    struct span *span = span_of(blocks[1]);
    for (size_t i = 1; span->carved == span->live || span->live < 2; i += 2)
        span = span_of(blocks[i]);
    span->live--;
    names("central C2");
}

Test(verify, central_c2_bits) {
    struct span *span = span_of(blocks[1]);
    for (size_t i = 1; span->carved == span->live; i += 2)
        span = span_of(blocks[i]);
    span_home(span)[0] ^= 1;
    names("central C2");
}

Test(verify, central_c4) {
    central_find_class(span_of(blocks[1])->class)->out++;
    names("central C4");
}

static struct bin *full_bin(void) {
    unsigned c = 1;
    while (cache_self.bins[c].head == NULL)
        c++;
    return &cache_self.bins[c];
}

Test(verify, cache_k1_count) {
    full_bin()->count++;
    names("cache K1");
}

Test(verify, cache_k1_overwritten) {
    ((struct block *)full_bin()->head)->next = (struct block *)said;
    names("cache K1");
}

Test(verify, cache_k2) {
    unsigned c = 1;
    while (cache_self.slow->spare[c] == NULL)
        c++;
    cache_self.slow->spare_length[c]++;
    names("cache K2");
}

Test(verify, cache_k3) {
    cache_self.bins[0].head = blocks[1];
    names("cache K3");
}

Test(verify, cache_k6) {
    cache_self.slow->prev = &cache_self;
    names("cache K6");
}

Test(verify, cache_k4) {
    cache_self.slow->earned_bytes++;
    names("cache K4");
}

Test(verify, mapped_l1) {
    mapped_totals.count++;
    names("mapped L1");
}

Test(verify, cache_k5) {
    cache_self.lists = LISTS_OFF;
    names("cache K5");
}

Test(verify, watch_w1_map) {
    mode_switch_on(MODE_PERTURB);
    cr_assert_eq(walk(), 0, "%s", said);
    unitmap_set((uintptr_t)span_address(span_of(blocks[1])), 1, CLASS_STEP);
    names("unitmap U1");
}

static void *checked(size_t bytes) {
    mode_switch_on(MODE_CHECK);
    void *p = front_alloc(bytes, "malloc");
    cr_assert_not_null(p);
    cr_assert_eq(walk(), 0, "%s", said);
    return p;
}

static struct check_record *record_of(void *p) {
    struct check_record *record = check_record_find(p);
    cr_assert_not_null(record);
    return record;
}

Test(verify, check_h1_address) {
    record_of(checked(10))->block += 16;
    names("check H1");
}

Test(verify, check_h1_lost) {
    record_of(checked(10))->state = CHECK_DETACHED;
    names("check H1");
}

Test(verify, check_h3) {
    void *p = checked(10), *q = checked(10);
    struct check_record *record = record_of(p);
    front_free(p, "free");
    front_free(q, "free");
    cr_assert_eq(walk(), 0, "%s", said);
    record->place++;
    names("check H3");
}

Test(verify, check_h3_bytes) {
    void *p = checked(10);
    struct check_record *record = record_of(p);
    front_free(p, "free");
    record->bytes++;
    names("check H3");
}

/* The sums are looked at while the process has one thread. */
Test(verify, stats_n1) {
    __libc_single_threaded = 1;
    cr_assert_eq(walk(), 0, "%s", said);
    cr_assert(budget_charge(BLOCK_ALIGN));
    names("stats N1");
}

Test(verify, says_little_of_much) {
    for (size_t i = 1; i < BLOCKS; i += 2)
        unitmap_set((uintptr_t)blocks[i], 1, 0);
    cr_assert_gt(walk(), WALK_SAID);
    size_t lines = 0;
    for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    cr_assert_eq(lines, WALK_SAID);
}
