/* SPDX-License-Identifier: MIT */
/* The harness in bench/, to which commands hand over that run programs under many allocators. */
#ifndef TOOLS_HARNESS_H
#define TOOLS_HARNESS_H

#include <limits.h>
#include <stdbool.h>

/* The path of one of its programs, in the build tree or in the installation that this command is part of. False if it is not
   there. */
bool harness_find(const char *name, char path[PATH_MAX]);

#endif
