/* SPDX-License-Identifier: MIT */
/* Where files lie in memory, by /proc/self/maps. */
#ifndef MAPPINGS_H
#define MAPPINGS_H

#include <stdint.h>

struct mapping {
    uintptr_t start, end;
    unsigned long offset; /* in the file */
    const char *path;
};

/* Calls `see` with each mapping of a file. */
void mappings_walk(void (*see)(const struct mapping *mapping, void *data), void *data);

#endif
