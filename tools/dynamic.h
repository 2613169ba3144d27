/* SPDX-License-Identifier: MIT */
/* Libraries that are loaded when they are needed, so that the command neither needs them to start nor their headers to be
   built. */
#ifndef TOOLS_DYNAMIC_H
#define TOOLS_DYNAMIC_H

#include <stdbool.h>
#include <stddef.h>

struct dynamic_function {
    const char *name;
    void *place; /* of the pointer to it */
};

/* Loads a library and finds functions of it. False if it is not there or lacks one of them. */
bool dynamic_load(const char *library, const struct dynamic_function *functions, size_t count);

#endif
