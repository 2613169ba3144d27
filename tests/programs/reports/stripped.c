/* SPDX-License-Identifier: MIT */
/* A byte before the block is changed; the program has no symbols. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __attribute__((noinline)) char *line(const char *text) {
    char *copy = malloc(strlen(text) + 1); /* ALLOCATED */
    return strcpy(copy, text);
}

static __attribute__((noinline)) void trim(char *text) {
    volatile char *end = text - 1;
    *end = 'z'; /* FAULT */
}

int main(void) {
    char *text = line("   ");
    trim(text);
    free(text); /* FOUND */
    puts("done");
    return 0;
}
