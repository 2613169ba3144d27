/* SPDX-License-Identifier: MIT */
/* Binary trees built and dropped while a long-lived one stays, after the benchmark of that name. [depth [trees]] */
#include <stdlib.h>

struct node {
    struct node *left, *right;
};

static struct node *build(int depth) {
    struct node *node = malloc(sizeof *node);
    node->left = depth ? build(depth - 1) : NULL;
    node->right = depth ? build(depth - 1) : NULL;
    return node;
}

static long drop(struct node *node) {
    long count = node->left ? 1 + drop(node->left) + drop(node->right) : 1;
    free(node);
    return count;
}

int main(int argc, char **argv) {
    int depth = argc > 1 ? atoi(argv[1]) : 18, trees = argc > 2 ? atoi(argv[2]) : 1000;
    struct node *lasting = build(depth);
    for (int i = 0; i < trees; i++)
        if (drop(build(depth - 4)) != (2L << (depth - 4)) - 1)
            return 1;
    return drop(lasting) != (2L << depth) - 1;
}
