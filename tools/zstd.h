/* SPDX-License-Identifier: MIT */
/* Reads and writes what zstd compresses, by its library, which is loaded when it is needed, as zlib in gzip.h. */
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

/* Room that what `count` bytes become is sure to have. */
size_t zstd_packed_most(size_t count);

/* Compresses `count` bytes; returns how many they are then, 0 if they are more than `room`, or there is no memory. */
size_t zstd_pack(void *to, size_t room, const void *from, size_t count);

/* Text of any length, a piece at a time. NULL if there is no memory. */
struct zstd_stream *zstd_stream_open(void);

/* Expands some of `count` bytes: how many were taken and given, and whether more must come. False if they are damaged. */
bool zstd_stream_expand(struct zstd_stream *stream, void *to, size_t room, size_t *given, const void *from, size_t count,
                        size_t *taken, bool *is_middle);

void zstd_stream_close(struct zstd_stream *stream);

#endif
