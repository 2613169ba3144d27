/* SPDX-License-Identifier: MIT */
#include "heap/central.h"

#include <stdatomic.h>

#include "base/freelist.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "heap/span.h"
#include "heap/mark.h"
#include "heap/transfer.h"
#include "heap/central_class.h"
#include "heap/central_spans.h"

/* A class's first blocks come out of larger classes' spans until 2 KiB have been lost by that, half a page for a class of which
 * a program uses a few blocks. */
#define BORROW_WASTE 2048
/* Classes above a KiB go on borrowing whenever their spans have nothing to give, but only blocks up to a quarter larger.
 * Replayed traces, memory relative to what is live, with both: start of python3 1.67 -> 1.41, of perl 1.80 -> 1.46, of gawk
 * 2.16 -> 1.71; cc1plus 1.47 -> 1.42. */
#define BORROW_EVER_FROM EXACT_MAX
#define BORROW_EVER_PART 4
/* Every class borrows blocks up to half as large again of a class more than half of which is at home: sizes that a program no
 * longer uses leave a few blocks in each of many spans, which would lie there beside the new ones. `drift`, whose sizes move
 * from hour to hour: peak 34.2 -> 32.7 MB (glibc 27.3). */
#define BORROW_SPARE_PART 2
#define SPARE_HOME_PART 2
#define SPARE_HOME_LEAST (64 * KIB)

#define TRIM_EACH 4 /* chains go home from one look for parked ones that are too many to the next: 100 instructions each */

/* Less than so much of a class out, and its lists fall to their start: a block on a list holds a whole span. */
#define SHRUNK_PART 16
#define SHRUNK_LEAST (256 * KIB)

/* A class gets spans that have grown once it has the memory of so many: then one of them is 6 % of it at the most. */
#define GROWN_PART 16

/* How many bytes of chains of one length the class may park. */
static size_t park_bytes(const struct class *class) {
    bool wide = transfer_threads > 1 && class->size <= PARK_WIDE_UPTO;
    return wide ? PARK_MOST : min_size(class_out(class) / PARK_PART, PARK_MOST);
}

/* How many chains of `count` blocks. */
static size_t park_most(const struct class *class, size_t count) {
    return park_bytes(class) / (class->size * count);
}

/* How many it may stack. */
static size_t stack_most(const struct class *class) {
    return transfer_stack_most(class_out(class), class_batch(class->index) * class->size);
}

/* ---- borrowing --------------------------------------------------------------------------------------------------- */

/* Bytes that a block may have which the class borrows from any class. */
static size_t borrow_most(const struct class *class) {
    size_t size = class->size;
    return class->borrowed < BORROW_WASTE ? 2 * size : size > BORROW_EVER_FROM ? size + size / BORROW_EVER_PART : 0;
}

/* A single block of a larger class, instead of a first span; NULL if there is none. A program that needs a few blocks of each
 * of many sizes would otherwise touch a page for every size. Most programs never have more than a few blocks of a large class,
 * so those borrow ever after. C3: what is borrowed must be aligned as the class's own blocks are. Called without the lock of
 * the class that wants it, because it takes those of others. */
static void *borrow(struct class *wants) {
    size_t size = wants->size, align = size & -size, count;
    size_t most = borrow_most(wants), most_spare = max_size(most, size + size / BORROW_SPARE_PART);
    for (unsigned index = wants->index + 1u; index < CLASS_COUNT && class_bytes(index) <= most_spare; index++) {
        struct class *class = central_find_shard(index, wants->shard);
        if (class == NULL && (class = central_find_class(index)) == NULL)
            continue;
        if (class_bytes(index) % align != 0)
            continue;
        if (class_bytes(index) > most && !class_is_home(class, SPARE_HOME_PART, SPARE_HOME_LEAST))
            continue;
        lock_acquire(&class->lock, LOCK_CLASS);
        void *block = class->spans != NULL ? central_take_spans_locked(class, 1, &count) : NULL;
        lock_release(&class->lock, LOCK_CLASS);
        if (block != NULL) {
            if (wants->borrowed < BORROW_WASTE)
                atomic_fetch_add_explicit(&wants->borrowed, (uint16_t)(class_bytes(index) - size), memory_order_relaxed);
            return block;
        }
    }
    return NULL;
}

/* Sends home the parked and stacked chains that are too many, because the class has less out than when they came: each of their
 * blocks may hold a span that is empty but for it. Adds what belongs to other shards to `others`, which is returned. */
static COLD struct block *trim_transit_slow_locked(struct class *class, struct block *others, struct span **empty) {
    size_t bytes = park_bytes(class), most = stack_most(class);
    for (uint64_t chain; (chain = transfer_unpark(&class->transfer, class->size, bytes)) != 0;)
        others = central_chain_home_locked(class, chain_first(chain), others, empty);
    for (uint64_t chain; (chain = transfer_unstack_locked(&class->transfer, most)) != 0;)
        others = central_chain_home_locked(class, chain_first(chain), others, empty);
    return others;
}

/* A chain that is given goes home, and now and then what is too much in transit. Returns what belongs to other shards. */
static struct block *give_home_locked(struct class *class, struct block *chain, struct span **empty) {
    struct block *others = central_chain_home_locked(class, chain, NULL, empty);
    if (UNLIKELY(++class->gone_home % TRIM_EACH == 0))
        others = trim_transit_slow_locked(class, others, empty);
    return others;
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

/* Cuts an adopted list, whose length is not known, to its first `most` blocks. Returns the others. */
static struct block *cut_locked(struct class *class, struct block *chain, size_t most, size_t *count) {
    struct block *last = chain, *others;
    size_t kept = 1;
    for (; kept < most && last->next != NULL; kept++, last = last->next)
        if (!span_is_block(last->next, class->index))
            central_wrong_home_locked(class, last, last->next, false);
    others = last->next;
    last->next = NULL;
    *count = kept;
    return others;
}

/* Takes a chain of what the shard has under its lock: an adopted list, a stacked chain, blocks of a span. NULL if there is
 * none. What is too long of an adopted list is left in *rest. */
static void *take_locked(struct class *class, size_t most, size_t *count, struct block **rest) {
    struct block *chain = transfer_take_orphan_locked(&class->transfer);
    if (UNLIKELY(chain != NULL)) {
        *rest = cut_locked(class, chain, most, count);
        return chain;
    }
    uint64_t stacked = transfer_unstack_locked(&class->transfer, 0);
    if (stacked != 0) {
        *count = chain_length(stacked);
        return chain_first(stacked);
    }
    return class->spans != NULL ? central_take_spans_locked(class, most, count) : NULL;
}

/* The same of what another shard has: a parked chain; a chain under its lock; or its first span, which this shard gets, so that
 * what is not at home of it comes home here. Nobody waits for two locks: the second is only tried. */
static void *take_other_locked(struct class *class, struct class *other, size_t most, size_t *count, struct block **rest) {
    void *chain = transfer_take(&other->transfer, count);
    if (chain != NULL || !lock_try_acquire(&other->lock, LOCK_SHARD))
        return chain;
    struct block *orphan = transfer_take_orphan_locked(&other->transfer);
    uint64_t stacked = orphan == NULL ? transfer_unstack_locked(&other->transfer, 0) : 0;
    bool moved = orphan == NULL && stacked == 0 && other->spans != NULL;
    if (moved)
        central_move_span_locked(class, other);
    lock_release(&other->lock, LOCK_SHARD);
    if (orphan != NULL)
        *rest = cut_locked(class, orphan, most, count);
    if (stacked != 0)
        *count = chain_length(stacked);
    return moved ? central_take_spans_locked(class, most, count) : orphan != NULL ? orphan : chain_first(stacked);
}

/* What the shard has; or else what some others have: looking at all of them would take longer than a new span. */
static void *take_near_locked(struct class *class, size_t most, size_t *count, struct block **rest) {
    void *chain = take_locked(class, most, count, rest);
    struct class *other;
    for (unsigned n = 0; UNLIKELY(chain == NULL) && central_next_near_locked(class, &n, &other);)
        chain = other != NULL ? take_other_locked(class, other, most, count, rest) : NULL;
    return chain;
}

/* Memory is refused: what any shard has. */
static COLD void *take_anywhere(unsigned index, size_t most, size_t *count, struct block **rest) {
    void *chain = NULL;
    struct class *class;
    for (unsigned n = 0; chain == NULL && (class = central_next_shard(index, &n)) != NULL;) {
        if ((chain = transfer_take(&class->transfer, count)) != NULL)
            break;
        lock_acquire(&class->lock, LOCK_CLASS);
        chain = take_locked(class, most, count, rest);
        lock_release(&class->lock, LOCK_CLASS);
    }
    return chain;
}

/* Blocks of a new span. No lock is held while it is made, as that takes long. NULL if memory is refused. */
static void *take_new(struct class *class, size_t most, size_t *count) {
    struct span *span = span_acquire_small(class->index, class_memory(class) >= GROWN_PART * class->units[1] * UNIT);
    if (span == NULL)
        return NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    central_add_span_locked(class, span);
    void *chain = central_take_spans_locked(class, most, count);
    lock_release(&class->lock, LOCK_CLASS);
    return chain;
}

void *central_take(unsigned index, size_t most, size_t *count) {
    struct class *class = central_shard_here(index);
    void *chain = transfer_take(&class->transfer, count);
    if (chain != NULL)
        return chain;
    struct block *rest = NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    central_visited_locked(class);
    chain = take_near_locked(class, most, count, &rest);
    lock_release(&class->lock, LOCK_CLASS);
    if (chain == NULL) {
        *count = 1;
        chain = borrow(class);
    }
    if (chain == NULL)
        chain = take_new(class, most, count);
    if (UNLIKELY(chain == NULL))
        chain = take_anywhere(index, most, count, &rest);
    if (UNLIKELY(rest != NULL))
        central_give_home(index, rest);
    return chain;
}

/* A span with blocks at home, its own or one of another shard. */
static bool has_span_locked(struct class *class) {
    struct class *other;
    for (unsigned n = 0; class->spans == NULL && central_next_near_locked(class, &n, &other);) {
        if (other == NULL || !lock_try_acquire(&other->lock, LOCK_SHARD))
            continue;
        if (other->spans != NULL)
            central_move_span_locked(class, other);
        lock_release(&other->lock, LOCK_SHARD);
    }
    return class->spans != NULL;
}

/* The same as take_anywhere for one block: of a chain that was parked or stacked the others are left in *rest. */
static COLD void *take_single_anywhere(unsigned index, struct block **rest) {
    size_t count;
    struct block *block = take_anywhere(index, 1, &count, rest);
    if (block != NULL && count > 1)
        *rest = block->next;
    return block;
}

void *central_take_single(unsigned index) {
    struct class *class = central_shard_here(index);
    struct block *rest = NULL;
    size_t count;
    lock_acquire(&class->lock, LOCK_CLASS);
    void *block = transfer_take_orphan_locked(&class->transfer);
    if (UNLIKELY(block != NULL))
        rest = cut_locked(class, block, 1, &count);
    else if (has_span_locked(class))
        block = central_take_spans_locked(class, 1, &count);
    lock_release(&class->lock, LOCK_CLASS);
    if (block == NULL)
        block = take_new(class, 1, &count);
    if (UNLIKELY(block == NULL))
        block = take_single_anywhere(index, &rest);
    if (UNLIKELY(rest != NULL))
        central_give_home(index, rest);
    return block;
}

/* Whatever processor the block was freed on before. */
static void refuse_parked_twice(unsigned index, const void *block) {
    struct class *class;
    for (unsigned n = 0; (class = central_next_shard(index, &n)) != NULL;)
        transfer_refuse_parked_twice(&class->transfer, block);
}

bool central_give(unsigned index, void *chain, size_t count) {
    struct class *class = central_shard_here(index);
    struct block *others = NULL;
    struct span *empty = NULL;
    if (count == 1)
        refuse_parked_twice(index, chain);
    if (transfer_try_park(&class->transfer, chain, count, park_most(class, count)))
        return false;
    lock_acquire(&class->lock, LOCK_CLASS);
    bool home = !transfer_try_stack_locked(&class->transfer, chain, count, stack_most(class));
    if (home)
        others = give_home_locked(class, chain, &empty);
    lock_release(&class->lock, LOCK_CLASS);
    if (UNLIKELY(others != NULL))
        central_others_home_slow(index, others, &empty);
    central_release_all(empty);
    return home && class_is_home(class, SHRUNK_PART, SHRUNK_LEAST);
}

void central_give_home(unsigned index, void *chain) {
    struct class *class = central_shard_here(index);
    struct span *empty = NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    struct block *others = give_home_locked(class, chain, &empty);
    lock_release(&class->lock, LOCK_CLASS);
    if (UNLIKELY(others != NULL))
        central_others_home_slow(index, others, &empty);
    central_release_all(empty);
}

/* A chain of the class that is not at home; NULL if all are. */
static struct block *any_parked(struct class *class) {
    size_t count;
    struct block *chain = transfer_take(&class->transfer, &count);
    if (chain != NULL)
        return chain;
    lock_acquire(&class->lock, LOCK_CLASS);
    chain = chain_first(transfer_unstack_locked(&class->transfer, 0));
    if (chain == NULL)
        chain = transfer_take_orphan_locked(&class->transfer);
    lock_release(&class->lock, LOCK_CLASS);
    return chain;
}

void central_flush_class(struct class *class) {
    for (void *chain; (chain = any_parked(class)) != NULL;)
        central_give_home(class->index, chain);
}

void central_flush(void) {
    for (unsigned i = 0; i < central_class_count; i++)
        central_flush_class(&central_classes[i]);
}

void central_adopt(unsigned index, void *chain) {
    transfer_adopt_locked(&central_shard_here(index)->transfer, chain);
}

/* If a class is first used in a fork handler of the program, first_use takes its lock. */
static struct lock *nth_class_lock(unsigned n) {
    return n < central_class_count ? &central_classes[n].lock : NULL;
}

/* Spans that are apart for threads that did not live on in this child. One whose blocks are all home waits for its next use. */
static void forked(void) {
    for (unsigned i = 0; i < central_class_count; i++) {
        struct class *class = &central_classes[i];
        struct span *empty = NULL, *next;
        for (struct span *span = class->held; span != NULL; span = next) {
            next = span->next_held;
            if (span->holder != lock_self())
                central_unhold_locked(class, span, &empty);
        }
        central_release_all(empty);
    }
}

const struct lock_set central_locks = {
    .rank = LOCK_FIRST_USE, .lock = &central_first_use_lock, .further = nth_class_lock, .forked = forked};
