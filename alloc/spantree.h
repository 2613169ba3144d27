/* SPDX-License-Identifier: MIT */
/*
 * The tree of free spans (rank 12): a treap over `left` and `right`, ordered by (units, address), its priorities a hash
 * of the address. Logarithmic in the number of free spans; caller holds the span lock. `region` and `units` of a span
 * must not change while it is in the tree.
 */
#ifndef MYALLOC_SPANTREE_H
#define MYALLOC_SPANTREE_H

#include "region.h"

void spantree_insert(struct span **root, struct span *span);
void spantree_remove(struct span **root, struct span *span);

/* The smallest span of at least `units`, of equals the lowest; NULL if there is none. */
struct span *spantree_best(struct span *root, size_t units);

bool spantree_contains(const struct span *root, const struct span *span);

#endif
