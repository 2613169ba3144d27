/* SPDX-License-Identifier: MIT */
/* The allocators of others, by the names that all commands have for them: what Debian's packages install. bench/allocators.py
   has the same for the harness; tests/tools/record.test holds the two beside each other. */
#ifndef TOOLS_INSTALLED_H
#define TOOLS_INSTALLED_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct installed {
    const char *name, *file, *package;
};

extern const struct installed installed_all[];
extern const size_t installed_count;

/* NULL if none has that name. */
const struct installed *installed_find(const char *name);

/* Where its library is, if it is there; else where it would be, and false. */
bool installed_path(const struct installed *allocator, char path[PATH_MAX]);

#endif
