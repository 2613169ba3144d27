/* SPDX-License-Identifier: MIT */
/*
 * What the log of mtrace (trace.h), the leak report (leaks.h) and the event ring (record.h) hear of each call while their modes
 * are on. front_watched.c calls these functions, under no lock of the allocator.
 */
#ifndef MYALLOC_OBSERVERS_H
#define MYALLOC_OBSERVERS_H

#include "kit/modes.h"
#include "observe/leaks.h"
#include "observe/record.h"
#include "observe/trace.h"

/* After the call: p is the block, NULL if the call was refused. */
static inline void observers_allocated(const void *p, size_t bytes, size_t align, const char *call) {
    if (modes_has(MODE_TRACE))
        trace_allocated(p, bytes);
    if (modes_has(MODE_RECORD))
        record_allocated(p, bytes, align, call);
    if (modes_has(MODE_LEAKS))
        leaks_allocated(p, bytes);
}

/* Before the block is free: from then on another thread may get its address. */
static inline void observers_freeing(const void *p) {
    if (modes_has(MODE_TRACE))
        trace_freeing(p);
    if (modes_has(MODE_RECORD))
        record_freeing(p);
    if (modes_has(MODE_LEAKS))
        leaks_freeing(p);
}

/* Before and after a realloc of the block `p`, or `old`, of `usable` bytes. What the first returns goes to the second, which
 * puts it back if the realloc was refused. */
static inline struct leaks_record observers_resizing(const void *p) {
    if (modes_has(MODE_TRACE))
        trace_resizing(p);
    if (modes_has(MODE_RECORD))
        record_resizing(p);
    return modes_has(MODE_LEAKS) ? leaks_freeing(p) : (struct leaks_record){0};
}

static inline void observers_resized(const struct leaks_record *was, const void *old, size_t usable, const void *p,
                                size_t bytes) {
    if (modes_has(MODE_TRACE))
        trace_resized(old, usable, p, bytes);
    if (modes_has(MODE_RECORD))
        record_resized(p, bytes);
    if (p == NULL)
        leaks_put_back(was);
    else if (modes_has(MODE_LEAKS))
        leaks_allocated(p, bytes);
}

#endif
