/* SPDX-License-Identifier: MIT */
#ifndef TOOLS_READ_AT_H
#define TOOLS_READ_AT_H

#include <stddef.h>
#include <stdint.h>

/* Copies `bytes` from `offset` on out of a file. Returns 0 or errno: EFAULT, as of memory that is not there, if the file
   ends before. */
int read_at(int fd, void *out, size_t bytes, uint64_t offset);

#endif
