/* SPDX-License-Identifier: MIT */
/* A pointer into the middle of a block is freed; the program is linked at a fixed address. */
#include <stdio.h>
#include <stdlib.h>

static char *read_field(char **cursor) {
    char *field = *cursor;
    *cursor += 16;
    return field;
}

int main(void) {
    char *record = malloc(64); /* ALLOCATED */
    char *cursor = record;
    read_field(&cursor);
    char *second = read_field(&cursor);
    free(second); /* FAULT */
    puts("done");
    return 0;
}
