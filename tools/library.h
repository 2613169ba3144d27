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

/* The folder of this executable, without a slash at its end. False if it cannot be told. */
bool library_own_folder(char folder[PATH_MAX]);

/* Its path alone, without a word. False if none is known; there may be no library. */
bool library_path(char path[PATH_MAX]);

#endif
