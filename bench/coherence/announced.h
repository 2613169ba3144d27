/* SPDX-License-Identifier: MIT */
/* How the preload (announce.c) tells the plugin that the program begins, and where calls of the allocator begin and end: by
 * system calls of numbers that no kernel has. qemu answers them with ENOSYS, after the plugin has seen them. */
#ifndef ANNOUNCED_H
#define ANNOUNCED_H

#include <stdint.h>

/* As the kernel's struct rseq begins: the numbers are the core's. */
struct announced_area {
    uint32_t first_processor, processor;
    uint64_t sequence;
    uint32_t flags, node, concurrency;
    uint32_t unused;
};

enum {
    ANNOUNCED_START = 50000, /* no arguments; turns begin */
    ANNOUNCED_BEGIN = 50001, /* the thread's struct announced_area */
    ANNOUNCED_END = 50002    /* the block that the caller gets, or NULL; its bytes */
};

#endif
