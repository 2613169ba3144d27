/* SPDX-License-Identifier: MIT */
/*
 * What the log of mtrace and the record of leaks hear of each watched call (rank 24): front_watched.c tells it here once,
 * the modes that are on get their part. The log leaves out what the unwinder allocates for
 * itself. Called under no lock of the allocator.
 */
#ifndef MYALLOC_NOTE_H
#define MYALLOC_NOTE_H

#include "backtrace.h"
#include "leaks.h"
#include "trace.h"
#include "watch.h"

/* The call is done; p is NULL if it was refused. */
static inline void note_allocated(const void *p, size_t bytes) {
    if (watch_has(WATCH_TRACE) && !backtrace_inside())
        trace_allocated(p, bytes);
    if (watch_has(WATCH_LEAKS))
        leaks_allocated(p, bytes);
}

/* Before the block is free. */
static inline void note_freeing(const void *p) {
    if (watch_has(WATCH_TRACE) && !backtrace_inside())
        trace_freeing(p);
    if (watch_has(WATCH_LEAKS))
        leaks_freeing(p);
}

/* Before and after a realloc of the block p, of `usable` bytes. What the first returns goes to the second. */
static inline struct leaks_record note_resizing(const void *p) {
    if (watch_has(WATCH_TRACE) && !backtrace_inside())
        trace_resizing(p);
    return watch_has(WATCH_LEAKS) ? leaks_freeing(p) : (struct leaks_record){0};
}

static inline void note_resized(const struct leaks_record *was, const void *old, size_t usable, const void *p,
                                size_t bytes) {
    if (watch_has(WATCH_TRACE) && !backtrace_inside())
        trace_resized(old, usable, p, bytes);
    if (p == NULL)
        leaks_put_back(was);
    else if (watch_has(WATCH_LEAKS))
        leaks_allocated(p, bytes);
}

#endif
