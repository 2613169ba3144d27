// SPDX-License-Identifier: MIT
// A tree whose root is let go: one block is lost, and two that only it reaches.
#include <cstdio>

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

// Deep below what main uses, and over it: no pointer to the tree stays on the stack.
__attribute__((noinline)) static void far_below(void (*work)()) {
    volatile char stack[16384];
    for (char volatile &byte : stack)
        byte = 0;
    work();
    stack[0] = 1;
}

__attribute__((noinline)) static void lose() { grow(1)->value = 9; }

__attribute__((noinline)) static void scrub() {
    volatile char stack[32768];
    for (char volatile &byte : stack)
        byte = 0;
}

int main() {
    far_below(lose);
    far_below(scrub);
    std::puts("done");
}
