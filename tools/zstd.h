/* SPDX-License-Identifier: MIT */
/* Reads what zstd has compressed, by its library, which is loaded when it is needed, as zlib in gzip.h. */
#ifndef TOOLS_ZSTD_H
#define TOOLS_ZSTD_H

#include <stdbool.h>
#include <stddef.h>

#define ZSTD_LIBRARY "libzstd.so.1"
#define ZSTD_PACKAGE "libzstd1"

/* Loads it; false if it is not there. */
bool zstd_load(void);

/* Bytes that zstd_expand() works in. */
size_t zstd_work_bytes(void);

/* Whether `from` are exactly `count` bytes, compressed: `to` then has them. `work` is aligned to 8 bytes. */
bool zstd_expand(void *work, void *to, size_t count, const void *from, size_t stored);

#endif
