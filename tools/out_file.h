/* SPDX-License-Identifier: MIT */
/* A file that is there as a whole or not at all: it is written beside its place and then put there. What is no plain file (a
   device, a pipe) is written to, as is standard output under the name "-". One at a time. */
#ifndef TOOLS_OUT_FILE_H
#define TOOLS_OUT_FILE_H

#include <stdbool.h>
#include <stdio.h>

/* A line near the start of what is written in the form of a heap profile: such a file may be written over. */
#define OUT_FILE_PROFILE "\n# made by myalloc report\n"

/* NULL if it cannot be written, or is a heap profile: that is read, and a name too few behind an option would have it lost. */
FILE *out_file_open(const char *path);

/* Puts it in its place, if all `is_whole`. False if not all could be written: then nothing has changed. */
bool out_file_close(bool is_whole);

/* Why the last call failed, in words. */
const char *out_file_error(void);

#endif
