/* SPDX-License-Identifier: MIT */
/* A class that threads of several processors use is split into shards. One thread here, which goes from one processor to
 * another; what shards do under threads, stress/ and the proofs show. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

#include "base/freelist.h"
#include "base/sizeclass.h"
#include "kit/tunables.h"
#include "heap/central.h"
#include "heap/central_class.h"
#include "heap/span.h"
#include "heap/transfer.h"
#include "process/verify.h"
#include "os_fake.h"

enum { SIZE = 208, BLOCKS = 4000, LENGTH = 20, MOVES_ENOUGH = 8 }; /* 800 KiB; of a chain */
static struct block *blocks[BLOCKS];

static void go_to(unsigned processor) {
    os_fake_processor = processor;
}

/* Takes `most` blocks, one chain after the other, into blocks[from...]. */
static size_t take(unsigned class, size_t from, size_t most) {
    size_t n = from, count;
    while (n < from + most) {
        struct block *chain = central_take(class, LENGTH, &count), *next;
        cr_assert_not_null(chain);
        for (; chain != NULL && n < BLOCKS; chain = next) {
            next = chain->next;
            blocks[n++] = chain;
        }
        if (chain != NULL)
            central_give_home(class, chain);
    }
    return n;
}

static void *chain_of_blocks(size_t from, size_t end) {
    for (size_t i = from; i < end; i++)
        blocks[i]->next = i + 1 < end ? blocks[i + 1] : NULL;
    return blocks[from];
}

static struct central_totals totals_of(unsigned class) {
    struct central_totals totals;
    central_count(class, &totals);
    return totals;
}

/* Blocks that are out, of both shards. */
static uint32_t out_of(unsigned class) {
    struct class *second = central_find_shard(class, 1);
    return central_find_class(class)->out + (second != NULL ? second->out : 0);
}

/* Takes blocks on both processors in turn, until the class has a second shard. Returns how many were taken. */
static size_t split(unsigned class) {
    size_t taken = 0;
    transfer_threads = 2;
    go_to(0);
    taken = take(class, 0, 1000);
    cr_assert_null(central_find_shard(class, 1), "one processor alone");
    for (unsigned i = 0; i < MOVES_ENOUGH; i++) {
        go_to(1 - i % 2);
        taken = take(class, taken, LENGTH);
    }
    cr_assert_not_null(central_find_shard(class, 1));
    return taken;
}

Test(shards, a_class_is_split_where_two_processors_use_it) {
    unsigned class = class_of(SIZE);
    size_t taken = split(class);
    cr_assert_eq(out_of(class), taken);
    cr_assert_eq(verify_heap(), 0);
}

Test(shards, a_class_of_a_few_blocks_is_not) {
    unsigned class = class_of(SIZE);
    transfer_threads = 2;
    for (unsigned i = 0; i < 4 * MOVES_ENOUGH; i++) {
        go_to(i % 2);
        central_give_home(class, chain_of_blocks(0, take(class, 0, 1)));
    }
    cr_assert_null(central_find_shard(class, 1));
}

Test(shards, a_class_is_not_where_one_thread_goes_about) {
    unsigned class = class_of(SIZE);
    size_t taken = 0;
    transfer_threads = 1;
    for (unsigned i = 0; i < 4 * MOVES_ENOUGH; i++) {
        go_to(i % 2);
        taken = take(class, taken, LENGTH);
    }
    cr_assert_null(central_find_shard(class, 1));
}

Test(shards, blocks_come_home_to_the_shard_that_has_their_span) {
    unsigned class = class_of(SIZE);
    size_t taken = split(class);
    go_to(1);
    taken = take(class, taken, 1000); /* from spans of the second shard, too */
    cr_assert_gt(central_find_shard(class, 1)->out, 0);
    for (size_t i = 0; i < taken; i++) { /* neighbours of other spans */
        size_t other = i * 7919 % taken;
        struct block *block = blocks[i];
        blocks[i] = blocks[other];
        blocks[other] = block;
    }
    go_to(0);
    for (size_t i = 0; i < taken; i += LENGTH)
        central_give_home(class, chain_of_blocks(i, i + LENGTH < taken ? i + LENGTH : taken));
    cr_assert_eq(out_of(class), 0);
    cr_assert_eq(totals_of(class).spans, 0, "those whose blocks are all home are released");
    cr_assert_eq(verify_heap(), 0);
}

Test(shards, one_without_blocks_gets_a_span_of_another) {
    unsigned class = class_of(SIZE);
    size_t taken = split(class), spans, count;
    go_to(0);
    for (size_t i = 1; i < taken; i += 2) /* half of each span stays */
        central_give_home(class, chain_of_blocks(i, i + 1));
    spans = totals_of(class).spans;
    go_to(1);
    for (size_t n = taken / 4; n > 0; n -= count < n ? count : n) {
        struct block *chain = central_take(class, LENGTH, &count);
        cr_assert_not_null(chain);
        cr_assert_eq(central_owner(class, span_find(chain)), central_find_shard(class, 1));
    }
    cr_assert_eq(totals_of(class).spans, spans, "no new one");
    cr_assert_eq(verify_heap(), 0);
    for (size_t i = 0; i < taken; i += 2) /* taken of the first shard, now of the second */
        central_give_home(class, chain_of_blocks(i, i + 1));
    cr_assert_eq(verify_heap(), 0);
}

Test(shards, what_another_has_parked_is_taken_before_a_new_span) {
    unsigned class = class_of(SIZE);
    size_t taken = split(class), count;
    struct central_totals before = totals_of(class);
    go_to(0);
    for (struct block *rest; (rest = central_find_shard(class, 0)->spans ? central_take(class, LENGTH, &count) : NULL) != NULL;)
        continue;
    go_to(1);
    for (struct block *rest; (rest = central_find_shard(class, 1)->spans ? central_take(class, LENGTH, &count) : NULL) != NULL;)
        continue;
    go_to(0);
    void *chain = chain_of_blocks(0, LENGTH);
    central_give(class, chain, LENGTH);
    cr_assert_eq(totals_of(class).parked, before.parked + LENGTH);
    cr_assert(central_holds(class, chain));
    go_to(1);
    cr_assert(central_holds(class, chain));
    cr_assert_eq(central_take(class, LENGTH, &count), chain);
    cr_assert_eq(count, LENGTH);
    cr_assert_gt(taken, LENGTH);
    cr_assert_eq(verify_heap(), 0);
}

Test(shards, a_single_block_is_taken_of_any) {
    unsigned class = class_of(SIZE);
    size_t taken = split(class), spans;
    go_to(0);
    for (size_t i = 1; i < taken; i += 2)
        central_give_home(class, chain_of_blocks(i, i + 1));
    spans = totals_of(class).spans;
    go_to(1);
    for (size_t n = 0; n < taken / 4; n++)
        cr_assert_not_null(central_take_single(class));
    cr_assert_eq(totals_of(class).spans, spans);
    cr_assert_eq(verify_heap(), 0);
}

/* A mode is switched on while chains are parked: of one that memory is refused for, one block is taken, the others go home. */
Test(shards, a_single_block_of_a_parked_chain_leaves_the_others) {
    unsigned class = class_of(SIZE);
    size_t taken = split(class), count, out;
    for (unsigned which = 0; which < 2; which++) {
        go_to(which);
        while (central_find_shard(class, which)->spans != NULL)
            cr_assert_not_null(central_take(class, LENGTH, &count));
    }
    go_to(0);
    central_give(class, chain_of_blocks(0, LENGTH), LENGTH);
    out = out_of(class);
    go_to(1);
    tunables.limit = 1;
    while (span_acquire_small(class, false) != NULL)
        continue;
    cr_assert_not_null(central_take_single(class));
    tunables.limit = SIZE_MAX;
    cr_assert_eq(out_of(class), out - (LENGTH - 1), "all but one are home");
    cr_assert_eq(totals_of(class).parked, 0);
    cr_assert_gt(taken, LENGTH);
}

static pthread_barrier_t held;

static void *hold_for_a_while(void *data) {
    struct class *class = data;
    lock_acquire(&class->lock, LOCK_CLASS);
    pthread_barrier_wait(&held);
    usleep(100000);
    lock_release(&class->lock, LOCK_CLASS);
    return NULL;
}

/* Another thread has the lock of the shard that has blocks: it is only tried, and waited for when the OS gives nothing. */
Test(shards, one_that_is_busy_is_waited_for_where_memory_is_refused) {
    unsigned class = class_of(SIZE);
    size_t taken = split(class), spans, count;
    struct class *first = central_find_class(class), *second = central_find_shard(class, 1);
    pthread_t other;
    go_to(1);
    while (second->spans != NULL)
        cr_assert_not_null(central_take(class, LENGTH, &count));
    go_to(0);
    for (size_t i = 1; i < taken; i += 2)
        if (central_owner(class, span_find(blocks[i])) == first)
            central_give_home(class, chain_of_blocks(i, i + 1));
    cr_assert_not_null(first->spans);
    spans = totals_of(class).spans;
    go_to(1);
    pthread_barrier_init(&held, NULL, 2);
    cr_assert_eq(pthread_create(&other, NULL, hold_for_a_while, first), 0);
    pthread_barrier_wait(&held);
    tunables.limit = 1;
    while (span_acquire_small(class, false) != NULL) /* what is free already */
        continue;
    void *block = central_take(class, LENGTH, &count);
    tunables.limit = SIZE_MAX;
    cr_assert_not_null(block);
    cr_assert_eq(central_owner(class, span_find(block)), first);
    cr_assert_eq(pthread_join(other, NULL), 0);
    cr_assert_eq(totals_of(class).spans, spans);
}
