/* SPDX-License-Identifier: MIT */
/* Where libmyalloc.so is. */
#ifndef TOOLS_LIBRARY_H
#define TOOLS_LIBRARY_H

#include <limits.h>
#include <stdbool.h>

#include "elf_file.h"

struct library {
    char path[PATH_MAX]; /* absolute, fit for LD_PRELOAD */
    struct elf_file elf;
};

/* MYALLOC_LIBRARY if set; else next to this executable, in ../lib from there, or where `make install` put it.
   Returns 0, or says what is wrong and returns the exit status. */
int library_find(struct library *library);

/* A file of the command's own that is no library of others': next to this executable, in ../lib/myalloc from there, or where
   `make install` put it. False if it is not there. */
bool library_find_private(const char *name, char path[PATH_MAX]);

/* Its path alone, without a word. False if none is known; there may be no library. */
bool library_path(char path[PATH_MAX]);

#endif
