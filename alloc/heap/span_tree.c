/* SPDX-License-Identifier: MIT */
#include "heap/span_tree.h"

#include "kit/report.h"

/* Within a region, structures lie in the order of the memory they stand for. */
static bool less(const struct span *a, const struct span *b) {
    return a->units != b->units ? a->units < b->units : a < b;
}

static uint64_t priority(const struct span *span) {
    return ((uintptr_t)span / sizeof *span) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Splits `node` into what lies before `key` and what lies behind it. */
static void split(struct span *node, const struct span *key, struct span **before, struct span **behind) {
    while (node != NULL) {
        if (less(node, key)) {
            *before = node;
            before = &node->right;
            node = node->right;
        } else {
            *behind = node;
            behind = &node->left;
            node = node->left;
        }
    }
    *before = *behind = NULL;
}

static size_t number_of(size_t units) {
    return min_size(units, SPAN_TREES) - 1;
}

void span_tree_insert(struct span_tree *tree, struct span *span) {
    size_t number = number_of(span->units);
    struct span **at = &tree->roots[number];
    tree->some |= (uint64_t)1 << number;
    while (*at != NULL && priority(*at) >= priority(span))
        at = less(*at, span) ? &(*at)->right : &(*at)->left;
    split(*at, span, &span->left, &span->right);
    *at = span;
}

void span_tree_remove(struct span_tree *tree, struct span *span) {
    size_t number = number_of(span->units);
    struct span **at = &tree->roots[number];
    while (*at != span) {
        ASSERT(*at != NULL);
        at = less(*at, span) ? &(*at)->right : &(*at)->left;
    }
    struct span *left = span->left, *right = span->right;
    while (left != NULL && right != NULL) {
        if (priority(left) >= priority(right)) {
            *at = left;
            at = &left->right;
            left = left->right;
        } else {
            *at = right;
            at = &right->left;
            right = right->left;
        }
    }
    *at = left != NULL ? left : right;
    if (tree->roots[number] == NULL)
        tree->some &= ~((uint64_t)1 << number);
}

struct span *span_tree_best(const struct span_tree *tree, size_t units) {
    size_t number = number_of(units);
    uint64_t enough = tree->some >> number;
    if (enough == 0)
        return NULL;
    struct span *root = tree->roots[number + (size_t)__builtin_ctzll(enough)], *best = NULL;
    while (root != NULL) {
        if (root->units >= units) {
            best = root;
            root = root->left;
        } else {
            root = root->right;
        }
    }
    return best;
}

bool span_tree_contains(const struct span_tree *tree, const struct span *span) {
    const struct span *root = tree->roots[number_of(span->units)];
    while (root != NULL && root != span)
        root = less(root, span) ? root->right : root->left;
    return root == span;
}
