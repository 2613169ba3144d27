/* SPDX-License-Identifier: MIT */
/* The program that `myalloc run` is to start: where it is, and whether preloading can work in it. */
#ifndef TOOLS_PROGRAM_H
#define TOOLS_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

#include "elf_file.h"

/* Where it is among arguments: behind the first `--`; 0 if it is missing. */
int program_at(int argc, char **argv);

/* Looks `name` up as a shell does. Returns 0 and its path, or says what is wrong and returns the exit status
   (STATUS_NOT_FOUND, STATUS_NOT_EXECUTABLE). */
int program_find(const char *name, char path[PATH_MAX]);

/* Returns 0 when the dynamic loader will heed LD_PRELOAD in the program at `path` (for a script, in its
   interpreter), or names program, cause and remedy and returns STATUS_CANNOT_PRELOAD. What cannot be read is
   let through. */
int program_check(const char *name, const char *path, const struct elf_file *library);

/* Returns 0 when the interpreter and the loader that `path` needs can be executed; or names the one that is not there and
   returns STATUS_NOT_FOUND, as shells and env(1) do, or the one that may not be executed: STATUS_NOT_EXECUTABLE. */
int program_check_helpers(const char *name, const char *path);

/* Says why the system does not execute `path`, for which it gave `error`: one of those, or the file itself. */
int program_report(const char *name, const char *path, int error);

/* Whether a file in no format that the kernel knows may be given to the shell: no NUL in its first line. */
bool program_is_text(const char *path);

#endif
