/* SPDX-License-Identifier: MIT */
#include "heap/central.h"

#include <stdatomic.h>

#include "base/freelist.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "heap/region.h"
#include "heap/span.h"

#define SLOTS (CACHE_LINE / sizeof(void *))
#define PARKED_BYTES (64 * KIB) /* what a class may park where there are several threads, */
#define PARKED_PART 16 /* or this part of its memory, if that is less, where there is one */
#define BORROW_WASTE 2048 /* bytes that a class may lose by borrowing blocks of up to twice its size */
#define BORROW_FROM EXACT_MAX /* classes above borrow ever after, */
#define BORROW_PART 4 /* what is larger by up to this part */

/* What does not fit the slots of a class with much memory: looking for the homes of blocks means walking over them, so
 * whole chains are kept for the next taker, up to a small part of what the class has. */
#define PILE_PART 32 /* of the memory in the class's spans */
#define PILE_MAX 63
#define PILES 32 /* for the first classes that grow so large; the others do without */

struct pile {
    size_t count;
    struct block *chains[PILE_MAX];
};

/* A list left by a thread that did not live on in a forked child. */
struct orphan {
    struct orphan *next;
    void *chain;
};

struct class {
    _Atomic(void *) slots[SLOTS];
    struct lock lock;
    uint16_t index;        /* the class's number */
    uint32_t size, reciprocal;
    _Atomic uint32_t borrowed; /* bytes wasted so far on blocks of larger classes */
    struct span *spans;    /* with blocks to give, the most recently full first */
    struct orphan *orphans;
    struct pile *pile;     /* NULL until the class has enough memory for one */
    _Atomic size_t span_count;
} LINE_ALIGNED;

/* In the order of first use, so that a small program touches one page of them, and fork only the locks that are used. */
static struct class classes[CLASS_COUNT - 1] BIG_TABLE;
static _Atomic uint8_t place_of[CLASS_COUNT]; /* position in classes plus one; 0: not used yet */
static _Atomic unsigned class_count;
static struct lock places_lock; /* for first uses; fork holds it, so that no class appears meanwhile */
_Atomic size_t central_threads;
static struct pile piles[PILES] BIG_TABLE;
static _Atomic size_t piles_used;

/* NULL if the class was never used. */
static struct class *find_class(unsigned index) {
    unsigned place = atomic_load_explicit(&place_of[index], memory_order_acquire);
    return place > 0 ? &classes[place - 1] : NULL;
}

static COLD struct class *first_use(unsigned index) {
    lock_acquire(&places_lock, LOCK_PLACES);
    struct class *class = find_class(index);
    if (class == NULL) {
        class = &classes[class_count];
        class->index = (uint16_t)index;
        class->size = (uint32_t)class_bytes(index);
        class->reciprocal = class_reciprocal(index);
        if (lock_is_forking()) /* a handler of the program, between ours: the fork holds this lock too, as all others */
            lock_acquire_forking(&class->lock);
        class_count++;
        atomic_store_explicit(&place_of[index], (uint8_t)class_count, memory_order_release);
    }
    lock_release(&places_lock, LOCK_PLACES);
    return class;
}

static struct class *get_class(unsigned index) {
    struct class *class = find_class(index);
    return LIKELY(class != NULL) ? class : first_use(index);
}

/* Bytes of the class's spans. */
static size_t class_memory(const struct class *class) {
    return class->span_count * class_units(class->index) * UNIT;
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

/* Into one of the first `usable` slots. The chain has its length in it. A chain gets into slot i only if i + 1 of its kind
 * may be parked: chains of one length stay within what a class may park, of all lengths within 2.72 times that. */
static bool slot_put_among(struct class *class, void *chain, size_t usable) {
    for (size_t i = 0; i < usable && i < SLOTS; i++) {
        void *empty = NULL;
        if (atomic_load_explicit(&class->slots[i], memory_order_relaxed) != NULL)
            continue;
        COUNT(COUNT_RMWS);
        if (atomic_compare_exchange_strong_explicit(&class->slots[i], &empty, chain, memory_order_release,
                                                    memory_order_relaxed))
            return true;
    }
    return false;
}

/* A block that is parked alone, freed again, comes here alone again. Not under the lock of the class. */
static void refuse_parked_twice(struct class *class, const void *chain) {
    for (size_t i = 0; i < SLOTS; i++)
        if (UNLIKELY(atomic_load_explicit(&class->slots[i], memory_order_relaxed) == chain))
            report_misuse("free", chain, DOUBLE_FREE);
}

static bool slot_put(struct class *class, void *chain, size_t count) {
    size_t most = central_threads > 1 ? PARKED_BYTES : min_size(class_memory(class) / PARKED_PART, PARKED_BYTES);
    ((struct block *)chain)->count = count;
    return slot_put_among(class, chain, most / (class->size * count));
}

static void *slot_take(struct class *class, size_t *count) {
    for (size_t i = 0; i < SLOTS; i++) {
        if (atomic_load_explicit(&class->slots[i], memory_order_relaxed) == NULL)
            continue;
        COUNT(COUNT_RMWS);
        struct block *chain = atomic_exchange_explicit(&class->slots[i], NULL, memory_order_acquire);
        if (chain != NULL) {
            *count = chain->count;
            return chain;
        }
    }
    return NULL;
}

/* ---- spans ------------------------------------------------------------------------------------------------------- */

static void list_insert(struct class *class, struct span *span) {
    span->prev = NULL;
    span->next = class->spans;
    if (span->next != NULL)
        span->next->prev = span;
    class->spans = span;
    span->listed = true;
}

static void list_remove(struct class *class, struct span *span) {
    *(span->prev ? &span->prev->next : &class->spans) = span->next;
    if (span->next != NULL)
        span->next->prev = span->prev;
    span->listed = false;
}

/* Of the bits of a word those whose whole group is set: blocks that share no cache line with one that is in use. */
static uint64_t whole_groups(uint64_t bits, unsigned group) {
    if (group == 1)
        return bits;
    uint64_t firsts = bits & bits >> 1; /* the first of each group, if all are set */
    if (group == 4)
        firsts &= firsts >> 2;
    firsts &= group == 4 ? UINT64_C(0x1111111111111111) : UINT64_C(0x5555555555555555);
    return firsts * (((uint64_t)1 << group) - 1);
}

/* Takes up to `most` of the blocks that are at home in whole groups of `group`, the lowest first and linked in this
 * order: however randomly a program freed, it walks memory forwards when it allocates again. */
static void *take_home(struct span *span, size_t size, size_t most, unsigned group, size_t *count) {
    uint64_t *home = span_home(span);
    char *start = span_address(span);
    struct block *chain = NULL, **end = &chain;
    size_t n = 0;
    for (size_t word = 0; n < most && word * 64 < span->carved; word++) {
        uint64_t left = whole_groups(home[word], group);
        for (; left != 0 && n < most; left &= left - 1, n++) {
            size_t at = word * 64 + (size_t)__builtin_ctzll(left);
            struct block *block = (struct block *)(void *)(start + at * size);
            home[word] &= ~(left & -left);
            *end = block;
            end = &block->next;
        }
    }
    *end = NULL;
    *count = n;
    return chain;
}

/* Cuts up to `most` new blocks, in address order. */
static void *carve(struct span *span, size_t size, size_t most, size_t *count) {
    char *first = span_address(span) + span->carved * size, *at = first;
    *count = min_size(most, (size_t)(span->capacity - span->carved));
    for (size_t i = 1; i < *count; i++, at += size)
        ((struct block *)(void *)at)->next = (struct block *)(void *)(at + size);
    ((struct block *)(void *)at)->next = NULL;
    span->carved = (uint16_t)(span->carved + *count);
    return first;
}

static bool add_span_locked(struct class *class) {
    struct span *span = span_acquire_small(class->index);
    if (span == NULL)
        return false;
    class->span_count++;
    list_insert(class, span);
    return true;
}

/* What a span has to give. More is taken of what is at home than is cut, because those pages are in use anyway. Where
 * there are several threads, blocks of less than a cache line are given in whole lines as far as that goes. */
static void *span_take(const struct class *class, struct span *span, size_t most, size_t *count) {
    unsigned group = most > 1 && central_threads > 1 ? class_line_group(class->index) : 1;
    size_t home_most = most > 1 ? max_size(most, class_batch(class->index)) : 1;
    void *chain = span->live < span->carved ? take_home(span, class->size, home_most, group, count) : NULL;
    if (chain == NULL && span->carved < span->capacity)
        chain = carve(span, class->size, align_up(most, group), count);
    return chain != NULL ? chain : take_home(span, class->size, home_most, 1, count);
}

/* The class has a span with blocks to give. */
static void *spans_take_locked(struct class *class, size_t most, size_t *count) {
    struct span *span = class->spans;
    void *chain = span_take(class, span, most, count);
    span->live = (uint16_t)(span->live + *count);
    if (span->live == span->capacity)
        list_remove(class, span);
    return chain;
}

/* ---- borrowing --------------------------------------------------------------------------------------------------- */

static bool may_borrow(const struct class *class) {
    return class->borrowed < BORROW_WASTE || class->size > BORROW_FROM;
}

/* A class's first blocks come out of larger classes' spans, where pages are already in use: a program that needs a few
 * blocks of each of many sizes would otherwise touch a page for every size. Of large classes most programs never have
 * more than a few, so these always look for a block that is a little larger before they take a span. NULL if there is
 * none. Blocks of a class are aligned to the largest power of two in its size, and so must these be. Called without the
 * lock of the class that wants it. */
static void *borrow(struct class *wants) {
    size_t size = wants->size, align = size & -size, count;
    size_t most = wants->borrowed < BORROW_WASTE ? 2 * size : size + size / BORROW_PART;
    for (unsigned index = wants->index + 1u; index < CLASS_COUNT && class_bytes(index) <= most; index++) {
        struct class *class = find_class(index);
        if (class == NULL || class_bytes(index) % align != 0)
            continue;
        lock_acquire(&class->lock, LOCK_CLASS);
        void *block = class->spans != NULL ? spans_take_locked(class, 1, &count) : NULL;
        lock_release(&class->lock, LOCK_CLASS);
        if (block != NULL) {
            if (wants->borrowed < BORROW_WASTE)
                atomic_fetch_add_explicit(&wants->borrowed, (uint32_t)(class_bytes(index) - size), memory_order_relaxed);
            return block;
        }
    }
    return NULL;
}

/* What comes home is there already, or is no block. The lock is left first, because the program may have a handler for
 * SIGABRT that allocates. */
static _Noreturn COLD void wrong_home_locked(struct class *class, const struct block *block, bool twice) {
    lock_release(&class->lock, LOCK_CLASS);
    report_misuse("free", block, twice ? DOUBLE_FREE : INVALID_POINTER);
}

/* Sends the first blocks of the chain home, as many as lie in one unit: blocks freed one after another often lie close
 * together. Returns the rest. A span that is complete again leaves the class for *empty, to be released without the
 * lock. */
static struct block *run_home_locked(struct class *class, struct block *first, struct span **empty) {
    struct span *span = span_find(first);
    struct block *block = first;
    size_t count = 0;
    if (UNLIKELY(span == NULL || span->state != SPAN_SMALL || span->class != class->index)) /* a link overwritten */
        wrong_home_locked(class, block, false);
    uint64_t *home = span_home(span);
    uintptr_t start = (uintptr_t)span_address(span);
    uint32_t size = class->size, reciprocal = class->reciprocal, carved = span->carved;
    do {
        size_t offset = (uintptr_t)block - start, at = class_position(offset, reciprocal);
        uint64_t *word = &home[at / 64], bit = (uint64_t)1 << at % 64;
        if (UNLIKELY(at * size != offset || at >= carved))
            wrong_home_locked(class, block, false);
        if (UNLIKELY((*word & bit) != 0)) /* also ends the walk of a chain that has become a circle */
            wrong_home_locked(class, block, true);
        *word |= bit;
        count++;
        block = block->next;
    } while (block != NULL && ((uintptr_t)block ^ (uintptr_t)first) < UNIT);
    span->live = (uint16_t)(span->live - count);
    if (!span->listed)
        list_insert(class, span);
    if (span->live == 0) {
        list_remove(class, span);
        class->span_count--;
        span->next = *empty;
        *empty = span;
    }
    return block;
}

static void chain_home_locked(struct class *class, struct block *chain, struct span **empty) {
    while (chain != NULL)
        chain = run_home_locked(class, chain, empty);
}

/* ---- the pile ---------------------------------------------------------------------------------------------------- */

/* How many chains the pile may hold. */
static size_t pile_most(const struct class *class) {
    return min_size(class_memory(class) / PILE_PART / (class_batch(class->index) * class->size), PILE_MAX);
}

static bool pile_put_locked(struct class *class, struct block *chain) {
    size_t most = pile_most(class);
    if (class->pile == NULL && most > SLOTS) {
        size_t index = atomic_fetch_add_explicit(&piles_used, 1, memory_order_relaxed);
        class->pile = index < PILES ? &piles[index] : NULL;
    }
    if (class->pile == NULL || class->pile->count >= most)
        return false;
    class->pile->chains[class->pile->count++] = chain;
    return true;
}

static struct block *pile_take_locked(struct class *class) {
    struct pile *pile = class->pile;
    return pile != NULL && pile->count > 0 ? pile->chains[--pile->count] : NULL;
}

/* Sends home what is more than the pile may hold: the class may have shrunk. */
static void pile_trim_locked(struct class *class, struct span **empty) {
    while (class->pile != NULL && class->pile->count > pile_most(class))
        chain_home_locked(class, pile_take_locked(class), empty);
}

static void release_all(struct span *empty) {
    while (empty != NULL) {
        struct span *next = empty->next;
        span_release(empty);
        empty = next;
    }
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

static void *orphan_take_locked(struct class *class) {
    struct orphan *orphan = class->orphans;
    if (orphan == NULL)
        return NULL;
    class->orphans = orphan->next;
    return orphan->chain;
}

/* An adopted list can be longer than a caller expects: keep its first `most` blocks and send the rest home. */
static void cut_locked(struct class *class, struct block *chain, size_t most, size_t *count, struct span **empty) {
    struct block *last = chain;
    size_t kept = 1;
    for (; kept < most && last->next != NULL; kept++)
        last = last->next;
    chain_home_locked(class, last->next, empty);
    last->next = NULL;
    *count = kept;
}

/* What the class has under its lock; NULL if that is nothing. */
static void *take_locked(struct class *class, size_t most, size_t *count, struct span **empty) {
    void *chain = orphan_take_locked(class);
    if (UNLIKELY(chain != NULL))
        cut_locked(class, chain, most, count, empty);
    else if ((chain = pile_take_locked(class)) != NULL)
        *count = ((struct block *)chain)->count;
    else if (class->spans != NULL)
        chain = spans_take_locked(class, most, count);
    return chain;
}

void *central_take(unsigned index, size_t most, size_t *count) {
    struct class *class = get_class(index);
    void *chain = slot_take(class, count);
    if (chain != NULL)
        return chain;
    struct span *empty = NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    chain = take_locked(class, most, count, &empty);
    if (chain == NULL && may_borrow(class)) {
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
    release_all(empty);
    span_look();
    return chain;
}

void *central_take_single(unsigned index) {
    struct class *class = get_class(index);
    struct span *empty = NULL;
    size_t count;
    lock_acquire(&class->lock, LOCK_CLASS);
    for (void *orphan; (orphan = orphan_take_locked(class)) != NULL;)
        chain_home_locked(class, orphan, &empty);
    void *block = class->spans != NULL || add_span_locked(class) ? spans_take_locked(class, 1, &count) : NULL;
    lock_release(&class->lock, LOCK_CLASS);
    release_all(empty);
    span_look();
    return block;
}

void central_give(unsigned index, void *chain, size_t count) {
    struct class *class = get_class(index);
    struct span *empty = NULL;
    refuse_parked_twice(class, chain);
    if (slot_put(class, chain, count))
        return;
    lock_acquire(&class->lock, LOCK_CLASS);
    if (!pile_put_locked(class, chain)) {
        chain_home_locked(class, chain, &empty);
        pile_trim_locked(class, &empty);
    }
    lock_release(&class->lock, LOCK_CLASS);
    release_all(empty);
}

void central_give_home(unsigned index, void *chain) {
    struct class *class = get_class(index);
    struct span *empty = NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    chain_home_locked(class, chain, &empty);
    pile_trim_locked(class, &empty);
    lock_release(&class->lock, LOCK_CLASS);
    release_all(empty);
}

static void *any_parked(struct class *class) {
    size_t count;
    void *chain = slot_take(class, &count);
    if (chain != NULL)
        return chain;
    lock_acquire(&class->lock, LOCK_CLASS);
    chain = pile_take_locked(class);
    if (chain == NULL)
        chain = orphan_take_locked(class);
    lock_release(&class->lock, LOCK_CLASS);
    return chain;
}

void central_flush(void) {
    for (unsigned i = 0; i < class_count; i++)
        for (void *chain; (chain = any_parked(&classes[i])) != NULL;)
            central_give_home(classes[i].index, chain);
}

void central_adopt(unsigned index, void *chain) {
    struct orphan *orphan = region_meta(sizeof *orphan);
    if (orphan == NULL)
        return; /* lost to the child, as it would be with glibc's thread caches */
    struct class *class = get_class(index);
    orphan->chain = chain;
    orphan->next = class->orphans;
    class->orphans = orphan;
}

void central_count(unsigned index, struct central_totals *totals) {
    struct class *class = find_class(index);
    *totals = (struct central_totals){0};
    if (class == NULL)
        return;
    struct span *empty = NULL;
    lock_acquire(&class->lock, LOCK_CLASS);
    for (size_t i = 0; i < SLOTS; i++) { /* taken and put back, no further on: another's chain must not be looked into */
        struct block *chain = atomic_exchange_explicit(&class->slots[i], NULL, memory_order_acquire);
        size_t count = chain ? chain->count : 0;
        if (chain != NULL && slot_put_among(class, chain, i + 1))
            totals->parked += count;
        else
            chain_home_locked(class, chain, &empty);
    }
    for (size_t i = 0; class->pile != NULL && i < class->pile->count; i++)
        totals->parked += class->pile->chains[i]->count;
    for (const struct orphan *orphan = class->orphans; orphan != NULL; orphan = orphan->next)
        totals->parked += freelist_length(orphan->chain);
    for (const struct span *span = class->spans; span != NULL; span = span->next)
        totals->home += (size_t)(span->capacity - span->live);
    totals->spans = class->span_count;
    lock_release(&class->lock, LOCK_CLASS);
    release_all(empty);
}

/* ---- invariants -------------------------------------------------------------------------------------------------- */

struct class_walk {
    struct walk *walk;
    size_t spans[CLASS_COUNT], listed[CLASS_COUNT];
};

static size_t home_length(struct span *span) {
    const uint64_t *home = span_home(span);
    size_t length = 0;
    for (size_t word = 0; word * 64 < span->capacity; word++)
        length += (size_t)__builtin_popcountll(home[word]);
    return length;
}

static void walk_span(struct span *span, void *data) {
    struct class_walk *found = data;
    bool gives = span->live < span->carved || span->carved < span->capacity;
    bool leaves = span->live == 0 && !span->listed; /* on its way to span_release */
    bool counted = span->live <= span->carved && span->carved <= span->capacity;
    report_walk(found->walk, leaves || span->listed == gives, "central C2", span);
    report_walk(found->walk,
                counted && home_length(span) == (size_t)(span->carved - span->live),
                "central C3", span);
    found->spans[span->class] += !leaves;
    found->listed[span->class] += span->listed;
}

static void walk_list(struct walk *walk, const struct class *class, size_t most) {
    const struct span *before = NULL, *span = class->spans;
    for (; span != NULL && most > 0; before = span, span = span->next, most--)
        if (!report_walk(walk,
                         span->state == SPAN_SMALL && span->class == class->index && span->listed &&
                             span->prev == before,
                         "central C2", span))
            return;
    report_walk(walk, span == NULL && most == 0, "central C2", class);
}

static void walk_parked(struct walk *walk, unsigned index, const struct block *chain) {
    bool known = span_is_block(chain, index);
    report_walk(walk, known && span_chain_length(chain, index, chain->count) == chain->count, "central C1", chain);
}

static void walk_slots(struct walk *walk, struct class *class) {
    struct span *empty = NULL;
    for (size_t i = 0; i < SLOTS; i++) { /* taken and put back, as in central_count: another's chain must not be looked into */
        struct block *chain = atomic_exchange_explicit(&class->slots[i], NULL, memory_order_acquire);
        if (chain == NULL)
            continue;
        walk_parked(walk, class->index, chain);
        if (!slot_put_among(class, chain, i + 1))
            chain_home_locked(class, chain, &empty);
    }
    release_all(empty);
}

void central_walk(struct walk *walk) {
    struct class_walk found = {.walk = walk};
    span_each_small(walk_span, &found);
    for (unsigned i = 0; i < class_count; i++) {
        struct class *class = &classes[i];
        walk_list(walk, class, found.listed[class->index]);
        report_walk(walk, class->span_count == found.spans[class->index], "central C2", class);
        walk_slots(walk, class);
        for (size_t k = 0; class->pile != NULL && k < class->pile->count; k++)
            walk_parked(walk, class->index, class->pile->chains[k]);
    }
}

/* A class that is first used while a handler of fork runs has its lock taken by first_use. */
static struct lock *nth_class_lock(unsigned n) {
    return n < class_count ? &classes[n].lock : NULL;
}

const struct lock_set central_locks = {.rank = LOCK_PLACES, .lock = &places_lock, .further = nth_class_lock};
