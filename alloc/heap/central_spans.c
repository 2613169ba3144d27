/* SPDX-License-Identifier: MIT */
#include "heap/central_spans.h"

#include <stdatomic.h>

#include "kit/report.h"
#include "heap/span.h"
#include "heap/home.h"
#include "heap/mark.h"
#include "heap/transfer.h"

/* `more` blocks have left their spans; or come home: then it is as many less than 0, and wraps around. */
static void count_out_locked(struct class *class, size_t more) {
    uint32_t out = atomic_load_explicit(&class->out, memory_order_relaxed);
    atomic_store_explicit(&class->out, out + (uint32_t)more, memory_order_relaxed);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

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

/* The span becomes one of the shard, the first of its list. */
static void own_locked(struct class *class, struct span *span) {
    atomic_store_explicit(&span->shard, class->shard, memory_order_relaxed);
    class->span_count++;
    class->grown_count += has_grown(class, span);
    list_insert(class, NULL, span);
}

static void disown_locked(struct class *class, const struct span *span) {
    class->span_count--;
    class->grown_count -= has_grown(class, span);
}

/* All blocks of the span are home, and it is on no list: it leaves the class, to be released without the lock. */
static void leave_locked(struct class *class, struct span *span, struct span **empty) {
    atomic_store_explicit(&span->in_class, 0, memory_order_relaxed);
    disown_locked(class, span);
    span->next = *empty;
    *empty = span;
}

void central_add_span_locked(struct class *class, struct span *span) {
    own_locked(class, span);
    atomic_store_explicit(&span->in_class, (uint8_t)class->index, memory_order_relaxed);
}

void central_move_span_locked(struct class *class, struct class *other) {
    struct span *span = other->spans;
    list_remove(other, span);
    count_out_locked(other, -(size_t)span->live);
    disown_locked(other, span);
    own_locked(class, span);
    count_out_locked(class, span->live);
}

void *central_take_spans_locked(struct class *class, size_t most, size_t *count) {
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

/* ---- home -------------------------------------------------------------------------------------------------------- */

void central_wrong_home_locked(struct class *class, const struct block *from, const struct block *block,
                               bool twice) {
    lock_release(&class->lock, LOCK_CLASS);
    if (twice)
        report_misuse("free", block, DOUBLE_FREE);
    mark_refuse_link(from, block, class->index);
}

/* Sends the first blocks of the chain home, as many as lie in one unit; `span` has them. Blocks freed one after another often
 * lie close together: then the span is looked up once for all. Returns the rest. *from is the block whose link led to the
 * first, NULL if there was none, and then that which leads to the rest; the number is added to *total. A span whose blocks are
 * all home leaves the class for the list *empty, to be released without the lock. */
static struct block *run_home_locked(struct class *class, struct span *span, struct block *first, const struct block **from,
                                     size_t *total, struct span **empty) {
    struct block *block = first;
    size_t count = 0;
    uint64_t *home = span_home(span);
    uintptr_t start = (uintptr_t)span_address(span);
    uint32_t size = class->size, reciprocal = class->reciprocal, carved = span->carved;
    do {
        size_t offset = (uintptr_t)block - start, at = class_position(offset, reciprocal);
        uint64_t *word = &home[at / 64], bit = (uint64_t)1 << at % 64;
        if (UNLIKELY(at * size != offset || at >= carved))
            central_wrong_home_locked(class, *from, block, false);
        if (UNLIKELY((*word & bit) != 0)) /* also ends the walk of a chain that has become a circle */
            central_wrong_home_locked(class, *from, block, true);
        *word |= bit;
        count++;
        *from = block;
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

struct block *central_chain_home_locked(struct class *class, struct block *chain, struct block *others, struct span **empty) {
    const struct block *from = NULL;
    size_t total = 0;
    while (chain != NULL) {
        struct span *span = span_find(chain);
        if (UNLIKELY(span == NULL || span->state != SPAN_SMALL || span->class != class->index)) /* a link was written over */
            central_wrong_home_locked(class, from, chain, false);
        if (LIKELY(central_owns(class, span))) {
            chain = run_home_locked(class, span, chain, &from, &total, empty);
            continue;
        }
        struct block *next = chain->next;
        chain->next = others;
        others = chain;
        from = chain;
        chain = next;
    }
    count_out_locked(class, -total);
    return others;
}

void central_others_home_slow(unsigned index, struct block *chain, struct span **empty) {
    while (chain != NULL) {
        const struct span *span = span_find(chain);
        struct class *class = span != NULL ? central_owner(index, span) : NULL;
        if (class == NULL)
            mark_refuse_link(NULL, chain, index);
        lock_acquire(&class->lock, LOCK_CLASS);
        chain = central_chain_home_locked(class, chain, NULL, empty);
        lock_release(&class->lock, LOCK_CLASS);
    }
}

void central_release_all(struct span *empty) {
    while (empty != NULL) {
        struct span *next = empty->next;
        span_release(empty);
        empty = next;
    }
}
