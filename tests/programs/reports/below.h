// SPDX-License-Identifier: MIT
// For programs that lose blocks: no pointer to them stays on the stack.
#ifndef TESTS_BELOW_H
#define TESTS_BELOW_H

// Deep below what main uses.
__attribute__((noinline)) static void far_below(void (*work)()) {
    volatile char stack[16384];
    for (char volatile &byte : stack)
        byte = 0;
    work();
    stack[0] = 1;
}

// And over it, called by far_below.
__attribute__((noinline)) static void scrub() {
    volatile char stack[32768];
    for (char volatile &byte : stack)
        byte = 0;
}

#endif
