/* SPDX-License-Identifier: MIT */
/* Size classes, the unit map's index, free lists and formatting: arithmetic, over the whole range. */
#include <criterion/criterion.h>

#include "base/freelist.h"
#include "kit/text.h"
#include "base/sizeclass.h"
#include "heap/unitmap.h"

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
    for (size_t bytes = 129; bytes <= SMALL_MAX; bytes++)
        cr_assert_leq(class_bytes(class_of(bytes)) - bytes, bytes / 8);
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        size_t span = class_units(class) * UNIT;
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
    cr_assert(unitmap_init(0));
    cr_assert_eq(unitmap_index((void *)0), 0);
    cr_assert_eq(unitmap_index((void *)(UNIT * 5 + 32)), 5);
    for (uintptr_t off = 1; off < 16; off++)
        cr_assert_geq(unitmap_index((void *)(UNIT * 5 + off)), unitmap.limit);
    cr_assert_geq(unitmap_index((void *)((uintptr_t)1 << ADDRESS_BITS)), unitmap.limit);
    cr_assert_geq(unitmap_index((void *)~(uintptr_t)15), unitmap.limit);
    cr_assert_lt(unitmap_index((void *)(((uintptr_t)1 << ADDRESS_BITS) - 16)), unitmap.limit);
}

Test(unitmap, set_find_and_shrink) {
    uintptr_t heap = (uintptr_t)0x5555 << 32;
    cr_assert(unitmap_init(heap));
    cr_assert(unitmap_cover(heap, 64 * UNIT));
    unitmap_set(heap + 3 * UNIT, 2, 48);
    cr_assert_eq(unitmap_find((void *)(heap + 2 * UNIT)), 0);
    cr_assert_eq(unitmap_find((void *)(heap + 3 * UNIT)), 48);
    cr_assert_eq(unitmap_find((void *)(heap + 5 * UNIT - 16)), 48);
    cr_assert_eq(unitmap_find((void *)(heap + 5 * UNIT)), 0);
    cr_assert(unitmap_shrink(heap, GIB));
    cr_assert_eq(unitmap_find((void *)(heap + 3 * UNIT)), 48);
    cr_assert_eq(unitmap_find(NULL), 0);
    cr_assert_eq(unitmap_find((void *)(heap + 16 * GIB)), 0);
    cr_assert_not(unitmap_shrink(heap, GIB));
}

Test(freelist, push_pop_length) {
    struct block blocks[10];
    void *head = NULL;
    for (int i = 0; i < 10; i++)
        freelist_push(&head, &blocks[i]);
    cr_assert_eq(freelist_length(head), 10);
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
