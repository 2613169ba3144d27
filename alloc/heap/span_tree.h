/* SPDX-License-Identifier: MIT */
/*
 * Free spans ordered by (units, address): a treap for each of the shorter lengths, and one for all that are longer, over `left`
 * and `right`, their priorities a hash of the address. Logarithmic in the number of free spans of a length; each node that is
 * passed may be in the cache of another processor, and all others wait meanwhile. Caller holds the span lock. `region` and
 * `units` of a span must not change while it is in there.
 */
#ifndef MYALLOC_SPAN_TREE_H
#define MYALLOC_SPAN_TREE_H

#include "heap/region.h"

#define SPAN_TREES 64

struct span_tree {
    uint64_t some;                 /* a bit for each treap that has spans */
    struct span *roots[SPAN_TREES]; /* the nth: of n + 1 units; the last: of as many or more */
};

void span_tree_insert(struct span_tree *tree, struct span *span);
void span_tree_remove(struct span_tree *tree, struct span *span);

/* The smallest span of at least `units`, of equals the lowest; NULL if there is none. */
struct span *span_tree_best(const struct span_tree *tree, size_t units);

bool span_tree_contains(const struct span_tree *tree, const struct span *span);

#endif
