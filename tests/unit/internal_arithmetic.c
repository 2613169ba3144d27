/* SPDX-License-Identifier: MIT */
/* Size classes, the unit map's index, free lists and formatting: arithmetic, over the whole range. */
#include <criterion/criterion.h>

#include "base/freelist.h"
#include "kit/text.h"
#include "base/sizeclass.h"
#include "kit/strip.h"
#include "heap/unitmap.h"
#include "os_fake.h"

Test(sizeclass, each_size_gets_the_smallest_class_that_holds_it) {
    for (size_t bytes = 1; bytes <= SMALL_MAX; bytes++) {
        unsigned class = class_of(bytes);
        cr_assert(class >= 1 && class < CLASS_COUNT);
        cr_assert_geq(class_bytes(class), bytes);
        cr_assert_lt(class_bytes(class - 1), bytes);
    }
    cr_assert_eq(class_of(SMALL_MAX), CLASS_COUNT - 1);
}

Test(sizeclass, waste_is_bounded) {
    for (size_t bytes = 129; bytes <= SMALL_MAX; bytes++) {
        size_t block = class_bytes(class_of(bytes));
        cr_assert(block - bytes <= bytes / 8 || block == align_up(bytes, OS_PAGE_MIN), "%zu", bytes);
    }
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        size_t span = class_units(class, false) * UNIT, grown = class_units(class, true) * UNIT;
        cr_assert_geq(grown, span);
        cr_assert(grown == span ||
                  (grown <= 8 * UNIT && grown % class_bytes(class) * span < span % class_bytes(class) * grown));
        cr_assert(grown == 8 * UNIT || grown % class_bytes(class) <= grown / 8);
        cr_assert_leq(span % class_bytes(class), span / 8);
        cr_assert_geq(span / class_bytes(class), 1);
        cr_assert_leq(span / class_bytes(class), UINT16_MAX);
        cr_assert_eq(class_bytes(class) % BLOCK_ALIGN, 0);
        cr_assert(class_batch(class) >= 2 && class_batch(class) <= 256);
    }
}

Test(sizeclass, aligned_classes) {
    for (size_t align = 32; align <= UNIT; align *= 2)
        for (size_t bytes = 0; bytes <= SMALL_MAX; bytes += 13) {
            unsigned class = class_of_aligned(bytes, align);
            if (class == 0)
                continue;
            cr_assert_geq(class_bytes(class), bytes);
            cr_assert_eq(class_bytes(class) % align, 0);
        }
    cr_assert_neq(class_of_aligned(100, 64), 0);
    cr_assert_eq(class_of_aligned(100, UNIT * 2), 0);
    cr_assert_eq(class_of_aligned(SMALL_MAX + 1, 64), 0);
}

Test(unitmap, index_refuses_what_no_block_can_be) {
    cr_assert(unitmap_init(NULL));
    cr_assert_eq(unitmap_find((void *)(UNIT * 5 + 32)), 0);
    unitmap_place(2 * UNIT);
    cr_assert_eq(unitmap_index((void *)UNIT), 0);
    cr_assert_eq(unitmap_index((void *)(UNIT * 6 + 32)), 5);
    for (uintptr_t off = 1; off < 16; off++)
        cr_assert_geq(unitmap_index((void *)(UNIT * 5 + off)), unitmap.limit);
    cr_assert_geq(unitmap_index(NULL), unitmap.limit);
    cr_assert_geq(unitmap_index((void *)((uintptr_t)1 << ADDRESS_BITS)), unitmap.limit);
    cr_assert_geq(unitmap_index((void *)~(uintptr_t)15), unitmap.limit);
}

/* Where the table can grow, and where it cannot. */
static void cover_further_and_further(bool grows) {
    uintptr_t heap = (uintptr_t)0x5555 << 32;
    os_fake_no_places = !grows;
    cr_assert(unitmap_init(os_place(unitmap_place_bytes())));
    unitmap_place(heap);
    const uint16_t *table = unitmap.table;
    cr_assert_eq(unitmap.limit, (grows ? GIB : 128 * GIB) / UNIT);
    for (size_t far = 0; far < 100 * GIB; far = 3 * far + UNIT) {
        cr_assert(unitmap_cover(heap + far, 64 * UNIT));
        unitmap_set(heap + far + 3 * UNIT, 2, 48);
        cr_assert_eq(unitmap_find((void *)(heap + far + 2 * UNIT)), 0);
        cr_assert_eq(unitmap_find((void *)(heap + far + 3 * UNIT)), 48);
        cr_assert_eq(unitmap_find((void *)(heap + far + 5 * UNIT - 16)), 48);
        cr_assert_eq(unitmap_find((void *)(heap + far + 5 * UNIT)), 0);
        unitmap_set(heap + far + 3 * UNIT, 2, 0);
    }
    cr_assert_eq(unitmap.table, table);
    cr_assert_eq(unitmap.base, heap - UNIT);
    /* What lies outside is left out: below, far away, and at the end of all addresses. */
    const uintptr_t outside[] = {heap - 100 * UNIT, heap + 40 * KIB * GIB, (uintptr_t)0 - 100 * UNIT};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(unitmap_cover(outside[i], 64 * UNIT));
        unitmap_set(outside[i], 64, 48);
        cr_assert_eq(unitmap_find((void *)outside[i]), 0);
    }
    cr_assert_eq(unitmap_find(NULL), 0);
}

Test(unitmap, set_and_find_in_a_table_that_grows) {
    cover_further_and_further(true);
}

Test(unitmap, set_and_find_in_a_table_of_one_length) {
    cover_further_and_further(false);
}

static void cover_and_set(uintptr_t at, bool found) {
    cr_assert(unitmap_cover(at, 64 * UNIT));
    unitmap_set(at, 64, 48);
    cr_assert_eq(unitmap_find((void *)at), found ? 48 : 0);
}

/* What was left out is so for good: spans there are in use, and nobody sets their entries later. */
Test(unitmap, a_table_never_comes_to_what_it_has_left_out) {
    uintptr_t heap = (uintptr_t)0x5555 << 32, out = heap + 3 * GIB;
    cr_assert(unitmap_init(os_place(unitmap_place_bytes())));
    unitmap_place(heap);
    os_fake_refuse_map = 1;
    cover_and_set(out, false);
    os_fake_refuse_map = 0;
    cover_and_set(heap + 7 * GIB, false);
    cr_assert_eq(unitmap_find((void *)out), 0);
    cover_and_set(heap + 2 * GIB, true); /* below it still grows */
    cr_assert_leq(unitmap.base + unitmap.limit * UNIT, out);
    cr_assert_eq(unitmap_find((void *)out), 0);
}

/* Doubling does not take the table there either. */
Test(unitmap, a_table_ends_before_what_was_too_far) {
    uintptr_t heap = (uintptr_t)0x5555 << 32, far = heap + 200 * GIB;
    cr_assert(unitmap_init(os_place(unitmap_place_bytes())));
    unitmap_place(heap);
    cover_and_set(far, false);
    cover_and_set(heap + 70 * GIB, true);
    cover_and_set(heap + 130 * GIB, true);
    cr_assert_leq(unitmap.base + unitmap.limit * UNIT, far);
    cover_and_set(heap + 198 * GIB, true);
    cr_assert_eq(unitmap_find((void *)far), 0);
}

/* As where the kernel puts the first region lower than the window begins below it. */
Test(unitmap, a_window_from_the_lowest_address_on) {
    uintptr_t low = 0x5000 * UNIT;
    cr_assert(unitmap_init(os_place(unitmap_place_bytes())));
    unitmap_place(0);
    cr_assert(unitmap_cover(low, 64 * UNIT));
    unitmap_set(low, 64, 48);
    cr_assert_eq(unitmap_find((void *)low), 48);
    cr_assert_eq(unitmap_find(NULL), 0);
}

Test(strip, doubles_and_never_moves) {
    const struct strip_plan plan = {OS_PAGE, 16 * OS_PAGE, 1024 * OS_PAGE};
    struct strip strip = {0};
    cr_assert(strip_open(&strip, os_place(STRIP_PLACE(plan.most)), &plan));
    char *start = strip.start;
    for (size_t bytes = OS_PAGE, reserved = 0; bytes <= plan.most; bytes += OS_PAGE) {
        cr_assert(strip_reach(&strip, bytes));
        cr_assert_eq(strip.start, start);
        cr_assert(strip.reserved >= bytes && (strip.reserved == reserved || strip.reserved >= 2 * reserved));
        cr_assert(reserved == strip.reserved || os_commit(start + reserved, strip.reserved - reserved));
        reserved = strip.reserved;
        start[bytes - 1] = 1;
        cr_assert_eq(start[-1] | start[strip.reserved + BUDGET_FENCE - 1], 0, "the fences are there");
    }
    cr_assert_not(strip_reach(&strip, plan.most + 1));
}

Test(strip, what_is_in_its_way_ends_it) {
    const struct strip_plan plan = {OS_PAGE, 16 * OS_PAGE, 1024 * OS_PAGE};
    struct strip strip = {0};
    cr_assert(strip_open(&strip, os_place(STRIP_PLACE(plan.most)), &plan));
    cr_assert(os_map_at(strip.start + 3 * OS_PAGE + BUDGET_FENCE, OS_PAGE));
    cr_assert(strip_reach(&strip, 2 * OS_PAGE));
    cr_assert(strip_reach(&strip, 3 * OS_PAGE), "as much as there is room for");
    cr_assert_not(strip_reach(&strip, 4 * OS_PAGE));
    cr_assert_eq(strip.reserved, 3 * OS_PAGE);
}

Test(strip, where_it_cannot_grow_it_is_shorter_the_shorter_addresses_are) {
    const struct strip_plan plan = {OS_PAGE, 64 * OS_PAGE, 1024 * OS_PAGE};
    struct strip strip = {0};
    os_fake_no_places = true;
    cr_assert(strip_open(&strip, NULL, &plan));
    cr_assert(strip.reserved == 64 * OS_PAGE && strip.most == 64 * OS_PAGE);
    os_fake_address_limit = 256 * OS_PAGE;
    cr_assert(strip_open(&strip, (char *)((uintptr_t)1 << 44), &plan));
    cr_assert(strip.reserved == 16 * OS_PAGE && strip.most == 16 * OS_PAGE);
    os_fake_address_limit = 0;
    cr_assert(strip_open(&strip, NULL, &plan));
    cr_assert_eq(strip.reserved, OS_PAGE);
    os_fake_refuse_map = 1;
    cr_assert_not(strip_open(&strip, NULL, &plan));
}

Test(freelist, push_pop) {
    struct block blocks[10];
    void *head = NULL;
    for (int i = 0; i < 10; i++)
        freelist_push(&head, &blocks[i]);
    for (int i = 9; i >= 0; i--)
        cr_assert_eq(freelist_pop(&head), &blocks[i]);
    cr_assert_null(head);
}

Test(report, formats_and_cuts) {
    char text[64];
    cr_assert_eq(text_format(text, sizeof text, "%s(%p): %z %d %d%%", "free", (void *)0xabc, (size_t)0, -5, 17), 21);
    cr_assert_str_eq(text, "free(0xabc): 0 -5 17%");
    cr_assert_eq(text_format(text, 5, "%s", "longer than that"), 4);
    cr_assert_str_eq(text, "long");
    text_format(text, sizeof text, "%z", SIZE_MAX);
    cr_assert_str_eq(text, "18446744073709551615");
}
