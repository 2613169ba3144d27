/* SPDX-License-Identifier: MIT */
/* What a class that shrinks holds on to: chains in transit, lists, spans with a few blocks, which other classes borrow. */
#include <criterion/criterion.h>
#include <stddef.h>

#include "base/freelist.h"
#include "base/sizeclass.h"
#include "heap/bins.h"
#include "heap/cache_growth.h"
#include "heap/central.h"
#include "heap/central_class.h"
#include "heap/plain.h"
#include "heap/span.h"
#include "heap/transfer.h"
#include "process/verify.h"
#include "api/front.h"

enum { SIZE = 208, BLOCKS = 40000, LENGTH = 20 }; /* 8 MiB; of a chain */
static struct block *blocks[BLOCKS];

/* Where the nth block to be freed is: neighbours are freed long after each other. */
static size_t scattered(size_t n) {
    return n * 7919 % BLOCKS;
}

static void take_all(unsigned class) {
    for (size_t n = 0, count; n < BLOCKS;) {
        struct block *chain = central_take(class, LENGTH, &count), *next;
        cr_assert_not_null(chain);
        for (; chain != NULL; chain = next) {
            next = chain->next;
            if (n < BLOCKS)
                blocks[n++] = chain;
        }
    }
}

static void *chain_of_nth(size_t from) {
    for (size_t i = from; i < from + LENGTH; i++)
        blocks[scattered(i)]->next = i + 1 < from + LENGTH ? blocks[scattered(i + 1)] : NULL;
    return blocks[scattered(from)];
}

Test(central, chains_in_transit_do_not_hold_the_spans_of_a_class_that_shrinks) {
    unsigned index = class_of(SIZE);
    transfer_threads = 1;
    take_all(index);
    struct class *class = central_find_class(index);
    size_t most = class->span_count;
    struct central_totals totals;
    for (size_t n = 0; n < BLOCKS / 2; n += LENGTH)
        central_give(index, chain_of_nth(n), LENGTH);
    central_count(index, &totals);
    cr_assert_gt(totals.parked, 0, "the class parks chains");
    for (size_t n = BLOCKS / 2; n < BLOCKS; n += LENGTH)
        central_give(index, chain_of_nth(n), LENGTH);
    central_count(index, &totals);
    cr_assert_leq(totals.parked, LENGTH, "%zu blocks in transit, none in use", totals.parked);
    cr_assert_leq(totals.spans, most / 16, "%zu of %zu spans", totals.spans, most);
    cr_assert_eq(verify_heap(), 0);
}

Test(central, lists_of_a_class_that_shrinks_fall_to_their_start) {
    unsigned index = class_of(SIZE);
    for (size_t n = 0; n < BLOCKS; n++)
        blocks[n] = plain_alloc(SIZE, BLOCK_ALIGN, &(bool){false});
    for (size_t n = 0; n < BLOCKS / 2; n++)
        front_free(blocks[scattered(n)], "free");
    size_t earned = cache_self.slow->earned_limit[index];
    cr_assert_gt(earned, 2 * growth_first_limit(index));
    for (size_t n = BLOCKS / 2; n < BLOCKS; n++)
        front_free(blocks[scattered(n)], "free");
    cr_assert_lt(cache_self.slow->earned_limit[index], earned);
    cr_assert_eq(verify_heap(), 0);
}

static bool is_of(const void *block, unsigned index) {
    return span_find(block)->class == index;
}

Test(central, a_class_that_is_mostly_home_lends_its_blocks_until_half_is_out) {
    unsigned lends = class_of(SIZE), wants = class_of(SIZE - 64); /* of the same alignment */
    take_all(lends);
    struct class *class = central_find_class(lends);
    for (size_t n = 0, count; n < 100; n++) {
        void *block = central_take(wants, 1, &count);
        cr_assert(n < 32 || !is_of(block, lends), "little is at home"); /* the first 2 KiB are lost to any class */
    }
    for (size_t n = 0; n < BLOCKS; n++) {
        if (scattered(n) % 20 == 0) /* a block of each span stays */
            continue;
        blocks[scattered(n)]->next = NULL;
        central_give_home(lends, blocks[scattered(n)]);
    }
    central_flush();
    cr_assert(class_is_home(class, 2, 64 * KIB));
    size_t own = 0, lent = 0, count;
    while (class_is_home(class, 2, 64 * KIB) && own < BLOCKS) {
        void *block = central_take(wants, 1, &count);
        own += !is_of(block, lends);
        lent += is_of(block, lends);
    }
    cr_assert_gt(lent, BLOCKS / 4, "%zu lent, %zu of its own", lent, own);
    cr_assert_leq(own, UNIT / SIZE * 2, "what its own span had left");
    for (size_t n = 0; n < 100; n++)
        cr_assert(!is_of(central_take(wants, 1, &count), lends) || class_is_home(class, 2, 0), "half is out");
    cr_assert_eq(verify_heap(), 0);
}
