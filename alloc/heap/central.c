/* SPDX-License-Identifier: MIT */
#include "heap/central.h"

#include <stdatomic.h>

#include "base/freelist.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "heap/span.h"
#include "heap/home.h"
#include "heap/mark.h"
#include "heap/transfer.h"
#include "heap/central_class.h"

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

struct class central_classes[CLASS_COUNT - 1] BIG_TABLE;
static _Atomic uint8_t row_of[CLASS_COUNT]; /* of a class: its row in central_classes, counted from 1; 0: not used yet */
_Atomic unsigned central_class_count;
static struct lock first_use_lock; /* fork holds it, so that no class is added meanwhile */

struct class *central_find_class(unsigned index) {
    unsigned row = atomic_load_explicit(&row_of[index], memory_order_acquire);
    return row > 0 ? &central_classes[row - 1] : NULL;
}

struct class *central_lock_if_has(unsigned index, const struct span *span) {
    struct class *class = index != 0 ? central_find_class(index) : NULL;
    if (class == NULL)
        return NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    if (class_of_span(span) == index)
        return class;
    lock_release(&class->lock, LOCK_CLASS);
    return NULL;
}

static COLD struct class *first_use(unsigned index) {
    lock_acquire(&first_use_lock, LOCK_FIRST_USE);
    struct class *class = central_find_class(index);
    if (class == NULL) {
        class = &central_classes[central_class_count];
        class->index = (uint8_t)index;
        class->units[0] = (uint8_t)class_units(index, false);
        class->units[1] = (uint8_t)class_units(index, true);
        class->size = (uint16_t)class_bytes(index);
        class->reciprocal = class_reciprocal(index);
        if (lock_is_forking()) /* a fork handler of the program allocates: this thread holds all locks, so this one, too */
            lock_acquire_forking(&class->lock);
        central_class_count++;
        atomic_store_explicit(&row_of[index], (uint8_t)central_class_count, memory_order_release);
    }
    lock_release(&first_use_lock, LOCK_FIRST_USE);
    return class;
}

static struct class *get_class(unsigned index) {
    struct class *class = central_find_class(index);
    return LIKELY(class != NULL) ? class : first_use(index);
}

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

/* `more` blocks have left their spans; or come home: then it is as many less than 0, and wraps around. */
static void count_out_locked(struct class *class, size_t more) {
    uint32_t out = atomic_load_explicit(&class->out, memory_order_relaxed);
    atomic_store_explicit(&class->out, out + (uint32_t)more, memory_order_relaxed);
}

/* ---- spans ------------------------------------------------------------------------------------------------------- */

/* Behind `after`; first if that is NULL. */
static void list_insert(struct class *class, struct span *after, struct span *span) {
    struct span **link = after != NULL ? &after->next : &class->spans;
    span->prev = after;
    span->next = *link;
    if (span->next != NULL)
        span->next->prev = span;
    *link = span;
    span->listed = true;
}

static void list_remove(struct class *class, struct span *span) {
    *(span->prev ? &span->prev->next : &class->spans) = span->next;
    if (span->next != NULL)
        span->next->prev = span->prev;
    span->listed = false;
}

static bool has_grown(const struct class *class, const struct span *span) {
    return span->units > class->units[0];
}

/* All blocks of the span are home, and it is on no list: it leaves the class, to be released without the lock. */
static void leave_locked(struct class *class, struct span *span, struct span **empty) {
    atomic_store_explicit(&span->in_class, 0, memory_order_relaxed);
    class->span_count--;
    class->grown_count -= has_grown(class, span);
    span->next = *empty;
    *empty = span;
}

static bool add_span_locked(struct class *class) {
    bool grown = class_memory(class) >= GROWN_PART * class->units[1] * UNIT;
    struct span *span = span_acquire_small(class->index, grown);
    if (span == NULL)
        return false;
    class->span_count++;
    class->grown_count += has_grown(class, span);
    atomic_store_explicit(&span->in_class, (uint8_t)class->index, memory_order_relaxed);
    list_insert(class, NULL, span);
    return true;
}

/* Takes blocks of the first span of the list. Caller: there is one. */
static void *spans_take_locked(struct class *class, size_t most, size_t *count) {
    struct span *span = class->spans;
    unsigned group = most > 1 && transfer_threads > 1 ? class_line_group(class->index) : 1;
    void *chain = LIKELY(!span->paged) ? home_take(span, class->size, most, group, count)
                                       : home_take_paged(span, class->size, most, group, count);
    count_out_locked(class, *count);
    if (span->live == span->capacity)
        list_remove(class, span);
    return chain;
}

void central_hold_locked(struct class *class, struct span *span) {
    list_remove(class, span);
    span->apart = true;
    span->holder = lock_self();
    span->next_held = class->held;
    class->held = span;
}

void central_unhold_locked(struct class *class, struct span *span, struct span **empty) {
    struct span **link = &class->held;
    while (*link != span)
        link = &(*link)->next_held;
    *link = span->next_held;
    span->apart = false;
    if (span->live == 0)
        leave_locked(class, span, empty);
    else
        list_insert(class, class->spans, span); /* behind the first: what has memory is taken before what has given some back */
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
        struct class *class = central_find_class(index);
        if (class == NULL || class_bytes(index) % align != 0)
            continue;
        if (class_bytes(index) > most && !class_is_home(class, SPARE_HOME_PART, SPARE_HOME_LEAST))
            continue;
        lock_acquire(&class->lock, LOCK_CLASS);
        void *block = class->spans != NULL ? spans_take_locked(class, 1, &count) : NULL;
        lock_release(&class->lock, LOCK_CLASS);
        if (block != NULL) {
            if (wants->borrowed < BORROW_WASTE)
                atomic_fetch_add_explicit(&wants->borrowed, (uint16_t)(class_bytes(index) - size), memory_order_relaxed);
            return block;
        }
    }
    return NULL;
}

/* Reports a block that is at home already, or a link that leads to none. `from` or a block behind it has the link; NULL if that
 * is not known. The lock is left before, because the program may have a handler for SIGABRT that allocates. */
static _Noreturn COLD void wrong_home_locked(struct class *class, const struct block *from, const struct block *block,
                                             bool twice) {
    lock_release(&class->lock, LOCK_CLASS);
    if (twice)
        report_misuse("free", block, DOUBLE_FREE);
    while (from != NULL && from->next != block)
        from = from->next;
    mark_refuse_link(from, block, class->index);
}

/* Sends the first blocks of the chain home, as many as lie in one unit. Blocks freed one after another often lie close
 * together: then the span is looked up once for all. Returns the rest. `before` is the first of the blocks that were sent
 * before these, NULL if there were none; their number is added to *total. A span whose blocks are all home leaves the class for
 * the list *empty, to be released without the lock. */
static struct block *run_home_locked(struct class *class, struct block *first, const struct block *before, size_t *total,
                                     struct span **empty) {
    struct span *span = span_find(first);
    struct block *block = first;
    size_t count = 0;
    if (UNLIKELY(span == NULL || span->state != SPAN_SMALL || span->class != class->index)) /* a link was written over */
        wrong_home_locked(class, before, block, false);
    uint64_t *home = span_home(span);
    uintptr_t start = (uintptr_t)span_address(span);
    uint32_t size = class->size, reciprocal = class->reciprocal, carved = span->carved;
    do {
        size_t offset = (uintptr_t)block - start, at = class_position(offset, reciprocal);
        uint64_t *word = &home[at / 64], bit = (uint64_t)1 << at % 64;
        if (UNLIKELY(at * size != offset || at >= carved))
            wrong_home_locked(class, block == first ? before : first, block, false);
        if (UNLIKELY((*word & bit) != 0)) /* also ends the walk of a chain that has become a circle */
            wrong_home_locked(class, before, block, true);
        *word |= bit;
        count++;
        block = block->next;
    } while (block != NULL && ((uintptr_t)block ^ (uintptr_t)first) < UNIT);
    span->live = (uint16_t)(span->live - count);
    *total += count;
    if (UNLIKELY(span->apart)) /* who holds it puts it on the list, or lets it go */
        return block;
    if (!span->listed)
        list_insert(class, NULL, span);
    if (span->live == 0) {
        list_remove(class, span);
        leave_locked(class, span, empty);
    }
    return block;
}

void central_chain_home_locked(struct class *class, struct block *chain, struct span **empty) {
    const struct block *before = NULL;
    size_t total = 0;
    while (chain != NULL) {
        struct block *first = chain;
        chain = run_home_locked(class, first, before, &total, empty);
        before = first;
    }
    count_out_locked(class, -total);
}

/* Sends home the parked and stacked chains that are too many, because the class has less out than when they came: each of their
 * blocks may hold a span that is empty but for it. */
static COLD void trim_transit_slow_locked(struct class *class, struct span **empty) {
    size_t bytes = park_bytes(class), most = stack_most(class);
    for (uint64_t chain; (chain = transfer_unpark(&class->transfer, class->size, bytes)) != 0;)
        central_chain_home_locked(class, chain_first(chain), empty);
    for (uint64_t chain; (chain = transfer_unstack_locked(&class->transfer, most)) != 0;)
        central_chain_home_locked(class, chain_first(chain), empty);
}

/* A chain that is given goes home, and now and then what is too much in transit. */
static void give_home_locked(struct class *class, struct block *chain, struct span **empty) {
    central_chain_home_locked(class, chain, empty);
    if (UNLIKELY(++class->gone_home % TRIM_EACH == 0))
        trim_transit_slow_locked(class, empty);
}

void central_release_all(struct span *empty) {
    while (empty != NULL) {
        struct span *next = empty->next;
        span_release(empty);
        empty = next;
    }
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

/* Cuts an adopted list, whose length is not known, to its first `most` blocks and sends the rest home. */
static void cut_locked(struct class *class, struct block *chain, size_t most, size_t *count, struct span **empty) {
    struct block *last = chain;
    size_t kept = 1;
    for (; kept < most && last->next != NULL; kept++, last = last->next)
        if (!span_is_block(last->next, class->index))
            wrong_home_locked(class, last, last->next, false);
    central_chain_home_locked(class, last->next, empty);
    last->next = NULL;
    *count = kept;
}

/* Takes a chain of what the class has under its lock: an adopted list, a stacked chain, blocks of a span. NULL if there is
 * none. */
static void *take_locked(struct class *class, size_t most, size_t *count, struct span **empty) {
    struct block *chain = transfer_take_orphan_locked(&class->transfer);
    if (UNLIKELY(chain != NULL)) {
        cut_locked(class, chain, most, count, empty);
        return chain;
    }
    uint64_t stacked = transfer_unstack_locked(&class->transfer, 0);
    if (stacked != 0) {
        *count = chain_length(stacked);
        return chain_first(stacked);
    }
    return class->spans != NULL ? spans_take_locked(class, most, count) : NULL;
}

void *central_take(unsigned index, size_t most, size_t *count) {
    struct class *class = get_class(index);
    void *chain = transfer_take(&class->transfer, count);
    if (chain != NULL)
        return chain;
    struct span *empty = NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    chain = take_locked(class, most, count, &empty);
    if (chain == NULL) {
        lock_release(&class->lock, LOCK_CLASS);
        *count = 1;
        if ((chain = borrow(class)) != NULL)
            return chain;
        lock_acquire(&class->lock, LOCK_CLASS);
        chain = take_locked(class, most, count, &empty);
    }
    if (chain == NULL && add_span_locked(class))
        chain = spans_take_locked(class, most, count);
    lock_release(&class->lock, LOCK_CLASS);
    central_release_all(empty);
    return chain;
}

void *central_take_single(unsigned index) {
    struct class *class = get_class(index);
    struct span *empty = NULL;
    size_t count;
    lock_acquire(&class->lock, LOCK_CLASS);
    for (struct block *orphan; (orphan = transfer_take_orphan_locked(&class->transfer)) != NULL;)
        central_chain_home_locked(class, orphan, &empty);
    void *block = class->spans != NULL || add_span_locked(class) ? spans_take_locked(class, 1, &count) : NULL;
    lock_release(&class->lock, LOCK_CLASS);
    central_release_all(empty);
    return block;
}

bool central_give(unsigned index, void *chain, size_t count) {
    struct class *class = get_class(index);
    struct span *empty = NULL;
    if (count == 1)
        transfer_refuse_parked_twice(&class->transfer, chain);
    if (transfer_try_park(&class->transfer, chain, count, park_most(class, count)))
        return false;
    lock_acquire(&class->lock, LOCK_CLASS);
    bool home = !transfer_try_stack_locked(&class->transfer, chain, count, stack_most(class));
    if (home)
        give_home_locked(class, chain, &empty);
    lock_release(&class->lock, LOCK_CLASS);
    central_release_all(empty);
    return home && class_is_home(class, SHRUNK_PART, SHRUNK_LEAST);
}

void central_give_home(unsigned index, void *chain) {
    struct class *class = get_class(index);
    struct span *empty = NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    give_home_locked(class, chain, &empty);
    lock_release(&class->lock, LOCK_CLASS);
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
    transfer_adopt_locked(&get_class(index)->transfer, chain);
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
    .rank = LOCK_FIRST_USE, .lock = &first_use_lock, .further = nth_class_lock, .forked = forked};
