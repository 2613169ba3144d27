/* SPDX-License-Identifier: MIT */
/* The program that `myalloc run` is to start: where it is, and whether preloading can work in it. */
#ifndef TOOLS_PROGRAM_H
#define TOOLS_PROGRAM_H

#include <limits.h>

#include "elf_file.h"

/* Looks `name` up as a shell does. Returns 0 and its path, or says what is wrong and returns the exit status
   (STATUS_NOT_FOUND, STATUS_NOT_EXECUTABLE). */
int program_find(const char *name, char path[PATH_MAX]);

/* Returns 0 when the dynamic loader will heed LD_PRELOAD in the program at `path` (for a script, in its
   interpreter), or names program, cause and remedy and returns STATUS_CANNOT_PRELOAD. What cannot be read is
   let through. */
int program_check(const char *name, const char *path, const struct elf_file *library);

#endif
