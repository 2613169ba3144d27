/* SPDX-License-Identifier: MIT */
/* Writes in gzip's form by zlib, which is loaded when it is needed, so that the command neither needs it nor its headers to be
   built. */
#ifndef TOOLS_GZIP_H
#define TOOLS_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define GZIP_LIBRARY "libz.so.1"
#define GZIP_PACKAGE "zlib1g"

/* Loads it; false if it is not there. */
bool gzip_load(void);

/* Writes `bytes` behind what `file` has. False if not all could be written; errno may say why. */
bool gzip_write(FILE *file, const void *bytes, size_t count);

#endif
