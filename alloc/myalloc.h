/* SPDX-License-Identifier: MIT */
/* What myalloc offers beyond the C library's malloc. */
#ifndef MYALLOC_H
#define MYALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Parameters for mallopt(), beside those of <malloc.h>. */
#define M_MYALLOC_DECAY_MS (-1001)    /* milliseconds that free memory is kept before the OS gets it back */
#define M_MYALLOC_CACHE_LIMIT (-1002) /* bytes of free blocks that a thread may keep for itself; -1: no bound */
#define M_MYALLOC_HUGEPAGES (-1003)   /* 0 off, 1 auto, 2 on */
#define M_MYALLOC_POPULATE (-1004)    /* 1: memory is made present when it is taken from the OS */
#define M_MYALLOC_LIMIT_MIB (-1005)   /* the most memory to take from the OS, in MiB; 0: no limit */

/* Writes the statistics as one JSON object to `out`, cut to room - 1 bytes and a NUL. Returns the length of the whole
 * text, as snprintf does: a result of `room` or more says that it was cut. `out` may be NULL if `room` is 0. */
size_t myalloc_stats_json(char *out, size_t room);

/* Walks all of the allocator's own structures and looks whether what must hold of them does: 0 if so; else -1, and what
 * is broken is named on standard error. It can only be so if the program wrote where it must not, or by a fault of the
 * allocator. Any thread, any time but in a signal handler; others wait meanwhile if they need the allocator. */
int myalloc_check_heap(void);

#ifdef __cplusplus
}
#endif

#endif
