/* SPDX-License-Identifier: MIT */
/*
 * What the allocator's memory is called in /proc/PID/maps and smaps while the option `names` is on: [anon:myalloc: heap] and so
 * on, where the kernel has names (Linux 5.17, CONFIG_ANON_VMA_NAME). The kernel itself calls the brk heap [heap], however it is
 * named. Off by default: each piece of memory is a system call more (5 in `cat`, 106 in python3 with 100 blocks of 300 KB), and
 * where named memory lies beside other memory the kernel keeps two mappings. Guarded and hardened blocks have no name: each
 * would be a call more, and their mappings are limited.
 */
#ifndef MYALLOC_NAME_H
#define MYALLOC_NAME_H

#include "os/os.h"
#include "kit/tunables.h"

#define NAME_HEAP "myalloc: heap"
#define NAME_BLOCK "myalloc: block" /* with a mapping of its own */
#define NAME_OWN "myalloc: own data"

static inline void name_memory(void *addr, size_t bytes, const char *name) {
    if (UNLIKELY(tunables.names))
        os_name_memory(addr, bytes, name);
}

#endif
