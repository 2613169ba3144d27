/* SPDX-License-Identifier: MIT */
/* The allocator behind this library. */
#ifndef RECORDER_CALLS_H
#define RECORDER_CALLS_H

#include "recorder.h"

struct calls {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *block, size_t size);
    void (*free)(void *block);
    void *(*memalign)(size_t alignment, size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    int (*posix_memalign)(void **block, size_t alignment, size_t size);
    void *(*valloc)(size_t size);
    void *(*pvalloc)(size_t size);
    void *(*reallocarray)(void *block, size_t count, size_t size);
    int (*malloc_trim)(size_t pad);
};

extern struct calls next __attribute__((visibility("hidden")));

/* A call that aligns has given `block`, NULL if there was no memory. Leaves. */
void record_aligned(struct stream *stream, enum recording_aligned kind, const void *block, size_t alignment, size_t size);

#endif
