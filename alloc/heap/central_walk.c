/* SPDX-License-Identifier: MIT */
#include "heap/central.h"

#include "base/freelist.h"
#include "kit/report.h"
#include "heap/home.h"
#include "heap/central_class.h"

/* A class of less than so much that is free is not worth a pause. */
#define EMPTIED_LEAST (256 * KIB)

/* ---- what is in a class ------------------------------------------------------------------------------------------- */

/* Chains that were lifted and whose room another thread has taken: they go home without the lock. */
struct left {
    struct block *chains[PARKED_CHAINS];
    size_t count;
};

static void left_home(unsigned index, const struct left *left) {
    for (size_t i = 0; i < left->count; i++)
        central_give_home(index, left->chains[i]);
}

/* Calls `see` with each chain that is parked or stacked. The walk calls it while nobody else is in the allocator, others under
 * the lock of the class. */
static void each_chain(struct class *class, void (*see)(struct class *class, uint64_t chain, void *data), void *data,
                       struct left *left) {
    for (size_t i = 0; i < PARKED_CHAINS; i++) {
        uint64_t chain = transfer_lift(&class->transfer, i);
        if (chain == 0)
            continue;
        see(class, chain, data);
        if (!transfer_try_put_back(&class->transfer, chain, i))
            left->chains[left->count++] = chain_first(chain);
    }
    uint64_t stacked;
    for (size_t i = 0; (stacked = transfer_stacked_locked(&class->transfer, i)) != 0; i++)
        see(class, stacked, data);
}

/* ---- one block ---------------------------------------------------------------------------------------------------- */

struct wanted {
    const void *block;
    bool found;
};

static void look_in_chain(struct class *class, uint64_t chain, void *data) {
    struct wanted *wanted = data;
    wanted->found = wanted->found || span_chain_leads_to(chain_first(chain), class->index, wanted->block, false);
}

static bool shard_holds(struct class *class, const void *block) {
    struct wanted wanted = {.block = block};
    struct left left = {.count = 0};
    lock_acquire(&class->lock, LOCK_CLASS);
    wanted.found = !span_is_block(block, class->index) ||
                   (central_owns(class, span_find(block)) && home_has(span_find(block), block, class->reciprocal));
    if (!wanted.found)
        each_chain(class, look_in_chain, &wanted, &left);
    if (!wanted.found)
        wanted.found = transfer_orphans_lead_to_locked(&class->transfer, class->index, block);
    lock_release(&class->lock, LOCK_CLASS);
    left_home(class->index, &left);
    return wanted.found;
}

bool central_holds(unsigned index, const void *block) {
    bool found = false;
    struct class *class;
    for (unsigned n = 0; !found && (class = central_next_shard(index, &n)) != NULL;)
        found = shard_holds(class, block);
    return found;
}

/* ---- each chain -------------------------------------------------------------------------------------------------- */

struct seer {
    void (*see)(const void *chain, size_t most, void *data);
    void *data;
};

static void see_chain(struct class *class, uint64_t chain, void *data) {
    const struct seer *seer = data;
    (void)class;
    seer->see(chain_first(chain), chain_length(chain), seer->data);
}

static void see_shard(struct class *class, struct seer *seer) {
    struct left left = {.count = 0};
    lock_acquire(&class->lock, LOCK_CLASS);
    each_chain(class, see_chain, seer, &left);
    transfer_each_orphan_locked(&class->transfer, seer->see, seer->data);
    lock_release(&class->lock, LOCK_CLASS);
    left_home(class->index, &left);
}

void central_each_chain(unsigned index, void (*see)(const void *chain, size_t most, void *data), void *data) {
    struct seer seer = {see, data};
    struct class *class;
    for (unsigned n = 0; (class = central_next_shard(index, &n)) != NULL;)
        see_shard(class, &seer);
}

/* ---- how many ----------------------------------------------------------------------------------------------------- */

static void count_span_locked(const struct class *class, const struct span *span, struct central_totals *totals) {
    totals->home += (size_t)(span->capacity - span->live);
    totals->returned += home_returned_bytes(span, class->size);
}

static void count_chain(struct class *class, uint64_t chain, void *data) {
    struct central_totals *totals = data;
    (void)class;
    totals->parked += chain_length(chain);
}

static void count_whole_locked(const struct class *class, struct central_totals *totals) {
    totals->spans += class->span_count;
    for (unsigned grown = 0; grown < 2; grown++) {
        size_t spans = grown ? class->grown_count : class->span_count - class->grown_count, bytes = class->units[grown] * UNIT;
        totals->blocks += spans * (bytes / class->size);
        totals->tails += spans * (bytes % class->size);
    }
}

/* What is at home is counted first: a chain that cannot be put back goes there once it has been counted. */
static void count_shard(struct class *class, struct central_totals *totals) {
    struct left left = {.count = 0};
    lock_acquire(&class->lock, LOCK_CLASS);
    for (const struct span *span = class->spans; span != NULL; span = span->next)
        count_span_locked(class, span, totals);
    for (const struct span *span = class->held; span != NULL; span = span->next_held)
        count_span_locked(class, span, totals);
    count_whole_locked(class, totals);
    totals->parked += transfer_count_orphans_locked(&class->transfer, class->index);
    each_chain(class, count_chain, totals, &left);
    lock_release(&class->lock, LOCK_CLASS);
    left_home(class->index, &left);
}

void central_count(unsigned index, struct central_totals *totals) {
    *totals = (struct central_totals){0};
    struct class *class;
    for (unsigned n = 0; (class = central_next_shard(index, &n)) != NULL;)
        count_shard(class, totals);
}

/* ---- invariants -------------------------------------------------------------------------------------------------- */

struct class_walk {
    struct walk *walk;
    size_t spans[CLASS_COUNT], listed[CLASS_COUNT], apart[CLASS_COUNT];
    uint32_t out[CLASS_COUNT];
};

/* O1 */
static bool pages_are_free(struct span *span) {
    bool right = true;
    for (size_t i = 0; i < span->units; i++) {
        unsigned free = home_free_pages(span, class_bytes(span->class), i);
        right = right && (span[i].returned_pages & ~free) == 0 &&
                (span->paged || (span[i].returned_pages | span[i].idle_pages) == 0);
    }
    return right;
}

static void walk_span(struct span *span, void *data) {
    struct class_walk *found = data;
    bool gives = span->live < span->carved || span->carved < span->capacity;
    unsigned in_class = atomic_load_explicit(&span->in_class, memory_order_relaxed);
    bool leaves = span->live == 0 && in_class == 0 && !span->listed; /* on its way to span_release */
    bool counted = span->live <= span->carved && span->carved <= span->capacity;
    bool as_listed = in_class == span->class && span->listed == (gives && !span->apart);
    report_walk(found->walk, leaves || as_listed, "central C1", span);
    report_walk(found->walk,
                counted && home_count(span) == (size_t)(span->carved - span->live),
                "central C2", span);
    if (counted)
        report_walk(found->walk, pages_are_free(span), "home O1", span);
    found->spans[span->class] += !leaves;
    found->listed[span->class] += span->listed;
    found->apart[span->class] += span->apart;
    found->out[span->class] += span->live;
}

/* Takes what it finds off *most. */
static void walk_list(struct walk *walk, const struct class *class, size_t *most) {
    const struct span *before = NULL, *span = class->spans;
    for (; span != NULL && *most > 0; before = span, span = span->next, --*most)
        if (!report_walk(walk,
                         span->state == SPAN_SMALL && span->class == class->index && span->listed &&
                             central_owns(class, span) && span->prev == before,
                         "central C1", span))
            return;
    report_walk(walk, span == NULL, "central C1", class);
}

static void walk_held(struct walk *walk, const struct class *class, size_t *most) {
    const struct span *span = class->held;
    for (; span != NULL && *most > 0; span = span->next_held, --*most)
        if (!report_walk(walk, span->apart && span->class == class->index && central_owns(class, span), "central C1", span))
            return;
    report_walk(walk, span == NULL, "central C1", class);
}

static void walk_chain(struct class *class, uint64_t chain, void *data) {
    bool whole = span_chain_length(chain_first(chain), class->index, chain_length(chain)) == chain_length(chain);
    report_walk(data, whole, "transfer X1", chain_first(chain));
}

void central_walk(struct walk *walk) {
    struct class_walk found = {.walk = walk};
    span_each_small(walk_span, &found);
    for (unsigned i = 0; i < central_class_count; i++) {
        struct class *class = &central_classes[i];
        struct left none = {.count = 0};
        walk_list(walk, class, &found.listed[class->index]);
        walk_held(walk, class, &found.apart[class->index]);
        found.spans[class->index] -= class->span_count;
        found.out[class->index] -= class->out;
        each_chain(class, walk_chain, walk, &none);
    }
    for (unsigned index = 1; index < CLASS_COUNT; index++) {
        const struct class *class = central_find_class(index);
        report_walk(walk, found.listed[index] == 0 && found.apart[index] == 0 && found.spans[index] == 0, "central C1", class);
        report_walk(walk, found.out[index] == 0, "central C4", class);
    }
}

READS_OTHERS bool central_is_emptied(unsigned index, size_t part) {
    const struct class *class = central_shard_here(index);
    size_t small = span_totals.small, dirty = span_totals.free_dirty, out = class_out(class), memory = class_memory(class);
    if (small != 0)
        memory += memory / UNIT * dirty / small * UNIT;
    return out * part <= memory && memory - out >= EMPTIED_LEAST;
}
