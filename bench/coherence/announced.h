/* SPDX-License-Identifier: MIT */
/* How the preload (announce.c) tells the plugin that the program begins, and where calls of the allocator begin and end: by
 * system calls of numbers that no kernel has. qemu answers them with ENOSYS, after the plugin has seen them. */
#ifndef ANNOUNCED_H
#define ANNOUNCED_H

enum {
    ANNOUNCED_START = 50000, /* no arguments; turns begin */
    ANNOUNCED_BEGIN = 50001, /* no arguments */
    ANNOUNCED_END = 50002    /* the block that the caller gets, or NULL; its bytes */
};

#endif
