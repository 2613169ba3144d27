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

void span_tree_insert(struct span **root, struct span *span) {
    struct span **at = root;
    while (*at != NULL && priority(*at) >= priority(span))
        at = less(*at, span) ? &(*at)->right : &(*at)->left;
    split(*at, span, &span->left, &span->right);
    *at = span;
}

void span_tree_remove(struct span **root, struct span *span) {
    struct span **at = root;
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
}

struct span *span_tree_best(struct span *root, size_t units) {
    struct span *best = NULL;
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

bool span_tree_contains(const struct span *root, const struct span *span) {
    while (root != NULL && root != span)
        root = less(root, span) ? root->right : root->left;
    return root == span;
}
