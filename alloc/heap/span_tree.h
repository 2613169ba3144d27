/* SPDX-License-Identifier: MIT */
/*
 * The tree of free spans: a treap over `left` and `right`, ordered by (units, address), its priorities a hash
 * of the address. Logarithmic in the number of free spans; caller holds the span lock. `region` and `units` of a span
 * must not change while it is in the tree.
 */
#ifndef MYALLOC_SPAN_TREE_H
#define MYALLOC_SPAN_TREE_H

#include "heap/region.h"

void span_tree_insert(struct span **root, struct span *span);
void span_tree_remove(struct span **root, struct span *span);

/* The smallest span of at least `units`, of equals the lowest; NULL if there is none. */
struct span *span_tree_best(struct span *root, size_t units);

bool span_tree_contains(const struct span *root, const struct span *span);

#endif
