// SPDX-License-Identifier: MIT
// A tree whose root is let go: one block is lost, and two that only it reaches.
#include <cstdio>

#include "below.h"

struct node {
    node *left = nullptr, *right = nullptr;
    int value;
    explicit node(int value) : value(value) {}
};

__attribute__((noinline)) static node *grow(int depth) {
    node *made = new node(depth); // ALLOCATED
    if (depth > 0) {
        made->left = grow(depth - 1);
        made->right = depth > 1 ? grow(depth - 2) : nullptr;
    }
    return made;
}

__attribute__((noinline)) static void lose() { grow(1)->value = 9; }

int main() {
    far_below(lose);
    far_below(scrub);
    std::puts("done");
}
