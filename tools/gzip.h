/* SPDX-License-Identifier: MIT */
/* Reads and writes gzip's form by zlib, which is loaded when it is needed, so that the command neither needs it nor its headers
   to be built. */
#ifndef TOOLS_GZIP_H
#define TOOLS_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#define GZIP_LIBRARY "libz.so.1"
#define GZIP_PACKAGE "zlib1g"

/* Loads it; false if it is not there. */
bool gzip_load(void);

/* Writes `bytes` behind what `file` has. False if not all could be written; errno may say why. */
bool gzip_write(FILE *file, const void *bytes, size_t count);

/* Reads what lies in a file from its start on; the descriptor stays the caller's. NULL if there is no memory. */
void *gzip_read_open(int fd);

/* Up to `room` bytes: how many there were, 0 at the end and if it is in the middle of what was compressed, -1 if that is
   damaged. */
ssize_t gzip_read(void *reader, void *to, size_t room, bool *is_middle);

void gzip_read_close(void *reader);

#endif
