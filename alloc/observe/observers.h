/* SPDX-License-Identifier: MIT */
/*
 * What the log of mtrace and the record of leaks hear of each watched call: front_watched.c tells it here once,
 * the modes that are on get their part. The log leaves out what the unwinder allocates for
 * itself. Called under no lock of the allocator.
 */
#ifndef MYALLOC_OBSERVERS_H
#define MYALLOC_OBSERVERS_H

#include "kit/modes.h"
#include "callers/unwind.h"
#include "observe/leaks.h"
#include "observe/trace.h"

/* The call is done; p is NULL if it was refused. */
static inline void observers_allocated(const void *p, size_t bytes) {
    if (modes_has(MODE_TRACE) && !unwind_inside())
        trace_allocated(p, bytes);
    if (modes_has(MODE_LEAKS))
        leaks_allocated(p, bytes);
}

/* Before the block is free. */
static inline void observers_freeing(const void *p) {
    if (modes_has(MODE_TRACE) && !unwind_inside())
        trace_freeing(p);
    if (modes_has(MODE_LEAKS))
        leaks_freeing(p);
}

/* Before and after a realloc of the block p, of `usable` bytes. What the first returns goes to the second. */
static inline struct leaks_record observers_resizing(const void *p) {
    if (modes_has(MODE_TRACE) && !unwind_inside())
        trace_resizing(p);
    return modes_has(MODE_LEAKS) ? leaks_freeing(p) : (struct leaks_record){0};
}

static inline void observers_resized(const struct leaks_record *was, const void *old, size_t usable, const void *p,
                                size_t bytes) {
    if (modes_has(MODE_TRACE) && !unwind_inside())
        trace_resized(old, usable, p, bytes);
    if (p == NULL)
        leaks_put_back(was);
    else if (modes_has(MODE_LEAKS))
        leaks_allocated(p, bytes);
}

#endif
