/* SPDX-License-Identifier: MIT */
/* Huge pages: when the heap grows by them, which memory becomes some later, and when neither is asked for. */
#include <criterion/criterion.h>
#include <errno.h>

#include "base/sizeclass.h"
#include "heap/collapse.h"
#include "heap/decay.h"
#include "heap/huge.h"
#include "heap/mapped.h"
#include "heap/region.h"
#include "heap/span_free.h"
#include "kit/tunables.h"
#include "process/verify.h"
#include "os_fake.h"
#include "spans.h"

#define SETTING "/sys/kernel/mm/transparent_hugepage/"
static const struct os_fake_file never[] = {{SETTING "enabled", "always madvise [never]\n"}, {NULL, NULL}};
enum { RANGE = HUGE_PAGE / UNIT, ALL = HUGE_PAGE / OS_PAGE_MIN, FEW = ALL / 64, FROM = HUGE_FROM / UNIT };

/* Whether huge pages are allowed where the two files say that. */
static bool allowed(const char *own, const char *general) {
    const struct os_fake_file files[] = {
        {own != NULL ? SETTING "hugepages-2048kB/enabled" : "-", own}, {SETTING "enabled", general}, {NULL, NULL}};
    os_fake_files = files;
    bool is = huge_allowed();
    os_fake_files = NULL;
    return is;
}

Test(huge, the_setting_of_the_system_and_of_the_process) {
    cr_assert(huge_allowed(), "where nothing is known");
    cr_assert(allowed(NULL, "always [madvise] never\n"));
    cr_assert(allowed(NULL, "[always] madvise never\n"));
    cr_assert_not(allowed(NULL, "always madvise [never]\n"));
    cr_assert_not(allowed("always [inherit] madvise never\n", "always madvise [never]\n"));
    cr_assert(allowed("always inherit [madvise] never\n", "always madvise [never]\n"), "that of the size counts");
    cr_assert_not(allowed("always inherit madvise [never]\n", "[always] madvise never\n"));
    cr_assert(allowed("cut off [ne", "[always"), "a text that says nothing");
    os_fake_huge_disabled = true;
    cr_assert_not(allowed(NULL, "[always] madvise never\n"));
}

static void small_spans(size_t units) {
    for (size_t had = 0; had < units;) {
        struct span *span = span_acquire_small(class_of(2048), false);
        cr_assert_not_null(span);
        had += span->units;
    }
}

/* The heap grows by small spans, beyond HUGE_FROM by so many huge pages. Returns how many were asked for. */
static int grow(size_t ranges) {
    small_spans(FROM + ranges * RANGE);
    return os_fake_huge_count;
}

Test(huge, a_large_heap_grows_by_them) {
    int asked = grow(128);
    cr_assert(asked >= 127 && asked <= 129, "%d", asked);
    cr_assert(huge_were_given);
}

Test(huge, a_small_one_does_not) {
    small_spans(FROM);
    cr_assert_eq(os_fake_huge_count, 0);
    cr_assert_not(huge_were_given);
}

Test(huge, none_where_the_kernel_says_never) {
    os_fake_files = never;
    cr_assert_eq(grow(128), 0);
}

Test(huge, none_where_the_option_is_off) {
    tunables.hugepages = CHOICE_OFF;
    cr_assert_eq(grow(128), 0);
}

Test(huge, slow_ones_are_asked_for_ever_less_often) {
    os_fake_huge_us = 1001;
    int asked = grow(128);
    cr_assert_eq(asked, 4, "%d", asked);
}

Test(huge, one_slow_one_leaves_out_four) {
    os_fake_huge_us = 1001;
    while (os_fake_huge_count == 0)
        small_spans(1);
    os_fake_huge_us = 1000;
    small_spans(20 * RANGE);
    cr_assert(os_fake_huge_count >= 16 && os_fake_huge_count <= 17, "%d", os_fake_huge_count);
}

/* ---- made later -------------------------------------------------------------------------------------------------- */

/* So many ms pass in steps of 10. Returns how many huge pages were made meanwhile. */
static int pass(size_t ms) {
    int before = os_fake_huge_count;
    for (size_t i = 0; i < ms; i += 10, os_fake_clock += 10)
        collapse_look(os_fake_clock);
    return os_fake_huge_count - before;
}

/* A heap of 64 MiB in small pages, 32 or 31 whole ranges, as its start lies. */
enum { HEAP_RANGES = 32 };
static struct span *heap_span;

static void begin(void) {
    os_fake_pages_alone = ALL;
    tunables.hugepages = CHOICE_OFF; /* so that it does not grow by huge ones */
    heap_span = large(HEAP_RANGES * RANGE);
    tunables.hugepages = CHOICE_AUTO;
    os_fake_huge_count = 0;
}

static bool is_all(int made) {
    return made == HEAP_RANGES || made == HEAP_RANGES - 1;
}

TestSuite(collapse, .init = begin);

Test(collapse, what_is_full_and_old_one_at_a_step) {
    cr_assert_eq(pass(1000 + decay_period_ms()), 0, "a look that begins, and what it finds is not old");
    collapse_look(os_fake_clock += 10);
    int first = os_fake_huge_count;
    cr_assert_leq(first, 2);
    cr_assert_leq(pass(100), 10);
    pass(1000);
    cr_assert(is_all(os_fake_huge_count), "%d", os_fake_huge_count);
    cr_assert_eq(collapse_count(), (size_t)os_fake_huge_count);
    cr_assert(huge_were_given);
    cr_assert_eq(verify_heap(), 0);
}

Test(collapse, not_what_is_huge_already) {
    cr_assert(is_all(pass(20000)));
    cr_assert_eq(pass(80000), 0);
    large(2 * RANGE);
    os_fake_huge_count = 0;
    cr_assert_leq(pass(160000), 3, "but what is new");
    cr_assert_geq(os_fake_huge_count, 2);
}

Test(collapse, some_pages_may_have_no_memory) {
    os_fake_pages_alone = ALL - FEW - 1;
    cr_assert_eq(pass(20000), 0);
    os_fake_pages_alone = ALL - FEW;
    cr_assert(is_all(pass(80000)));
}

Test(collapse, none_where_the_kernel_says_so) {
    static const struct os_fake_file files[] = {{SETTING "khugepaged/max_ptes_none", "1\n"}, {NULL, NULL}};
    os_fake_files = files;
    os_fake_pages_alone = ALL - 2;
    cr_assert_eq(pass(20000), 0);
    os_fake_pages_alone = ALL - 1;
    cr_assert(is_all(pass(80000)));
}

Test(collapse, never) {
    os_fake_files = never;
    cr_assert_eq(pass(20000), 0);
}

Test(collapse, off) {
    tunables.hugepages = CHOICE_OFF;
    cr_assert_eq(collapse_due(), UINT64_MAX);
    cr_assert_eq(pass(20000), 0);
}

Test(collapse, not_what_has_changed_meanwhile) {
    pass(1000 + decay_period_ms());
    span_release(heap_span);
    heap_span = large(HEAP_RANGES * RANGE - 1);
    cr_assert_eq(pass(decay_period_ms()), 0);
}

Test(collapse, not_the_ranges_of_free_spans) {
    struct span *freed = large(RANGE);
    uintptr_t start = (uintptr_t)span_address(freed), end = start + HUGE_PAGE;
    large(4 * RANGE);
    span_release(freed);
    os_fake_huge_count = 0;
    for (int i = 0; i < 2000; i++) {
        os_fake_huge_at = 0;
        pass(10);
        cr_assert(os_fake_huge_at + HUGE_PAGE <= start || os_fake_huge_at >= end, "%zx", os_fake_huge_at);
    }
    cr_assert_geq(os_fake_huge_count, HEAP_RANGES + 1);
}

Test(collapse, not_where_holes_were_given_back) {
    struct span *small[RANGE];
    for (size_t i = 0; i < RANGE; i++)
        small[i] = span_acquire_small(class_of(2048), false);
    small[RANGE / 2]->returned_pages = 1;
    os_fake_huge_count = 0;
    cr_assert(is_all(pass(3000)), "%d: none of the ranges that the small ones lie in", os_fake_huge_count);
    small[RANGE / 2]->returned_pages = 0;
}

Test(collapse, waits_ever_longer_where_there_are_none) {
    os_fake_collapse_error = ENOMEM;
    cr_assert(pass(4000) >= 1);
    int before = pass(60000);
    cr_assert(before >= 2 && before <= 6, "%d in a minute", before);
    cr_assert_leq(pass(60000), 2);
    cr_assert_eq(collapse_count(), 0);
    os_fake_collapse_error = 0;
    pass(600000);
    cr_assert_geq(collapse_count(), HEAP_RANGES / 2);
}

Test(collapse, slow_ones_as_well) {
    os_fake_huge_us = 1001;
    cr_assert(pass(64000) <= 7);
    cr_assert_eq(collapse_count(), (size_t)os_fake_huge_count);
}

Test(collapse, a_range_that_may_not_be_one_keeps_nobody_else) {
    os_fake_collapse_error = EINVAL;
    cr_assert(is_all(pass(3000)));
    cr_assert_eq(collapse_count(), 0);
}

Test(collapse, mappings) {
    bool zeroed;
    span_release(heap_span);
    char *block = mapped_alloc(64 * MIB + HUGE_PAGE, HUGE_PAGE, &zeroed);
    cr_assert_eq(pass(20000), 33);
    cr_assert_eq(os_fake_huge_at, (uintptr_t)block + 64 * MIB);
    cr_assert(mapped_free(block));
    cr_assert_eq(pass(20000), 0);
}

Test(collapse, nothing_in_a_small_heap) {
    span_release(heap_span);
    size_t left = (span_totals.free + span_totals.small + span_totals.large) << UNIT_SHIFT;
    cr_assert(left >= HUGE_FROM || collapse_due() == UINT64_MAX);
}
