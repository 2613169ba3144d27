/* SPDX-License-Identifier: MIT */
/* Binary trees of growing depth built and dropped, top down and bottom up, while a tree and an array stay. After
 * GCBench by John Ellis, Pete Kovac and Hans Boehm (hboehm.info/gc/gc_bench.html), whose trees are of depth 4 to 16;
 * here they go to 18. */
#include "load.h"

struct node {
    struct node *left, *right;
    int i, j;
};

static long depth = 18, array = 500000;

static const struct parameter parameters[] = {{"depth", &depth, 4, 28}, {"array", &array, 2, 100000000}};

static struct node *node_new(struct node *left, struct node *right) {
    struct node *node = checked(malloc(sizeof *node), sizeof *node);
    *node = (struct node){left, right, 1, 2};
    return node;
}

static struct node *bottom_up(long levels) {
    if (levels == 0)
        return node_new(NULL, NULL);
    struct node *left = bottom_up(levels - 1);
    return node_new(left, bottom_up(levels - 1));
}

static void top_down(long levels, struct node *node) {
    if (levels == 0)
        return;
    node->left = node_new(NULL, NULL);
    node->right = node_new(NULL, NULL);
    top_down(levels - 1, node->left);
    top_down(levels - 1, node->right);
}

static long drop(struct node *node) {
    if (node->i != 1 || node->j != 2)
        load_fail("a node was changed, or is in the tree twice");
    node->i = 0;
    long count = node->left != NULL ? drop(node->left) + drop(node->right) : 0;
    free(node);
    return count + 1;
}

static long nodes(long levels) {
    return (2L << levels) - 1;
}

static void expect(struct node *tree, long levels) {
    long count = drop(tree);
    if (count != nodes(levels))
        load_fail("a tree of depth %ld had %ld nodes instead of %ld", levels, count, nodes(levels));
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    expect(bottom_up(depth + 1), depth + 1);
    struct node *lasting = node_new(NULL, NULL);
    top_down(depth, lasting);
    double *numbers = checked(malloc((size_t)array * sizeof *numbers), (size_t)array * sizeof *numbers);
    for (long i = 0; i < array / 2; i++)
        numbers[i] = 1.0 / (double)(i + 1);
    for (long levels = 4; levels <= depth; levels += 2)
        for (long i = 0; i < nodes(depth + 1) / nodes(levels); i++) {
            struct node *tree = node_new(NULL, NULL);
            top_down(levels, tree);
            expect(tree, levels);
            expect(bottom_up(levels), levels);
        }
    if (numbers[array / 2 - 1] != 1.0 / (double)(array / 2))
        load_fail("the lasting array was changed");
    free(numbers);
    expect(lasting, depth);
    return 0;
}
