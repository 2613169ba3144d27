/* SPDX-License-Identifier: MIT */
/* A double free in a program that is linked statically. */
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline)) void release(void *block) {
    free(block); /* FREED FAULT */
}

int main(void) {
    void *block = malloc(500); /* ALLOCATED */
    release(block);
    release(block);
    puts("done");
    return 0;
}
