/* SPDX-License-Identifier: MIT */
/*
 * Runs of units out of free memory: the best fitting FREE span, or what is cut at a region's frontier. Caller holds LOCK_SPANS.
 */
#ifndef MYALLOC_SPAN_RUN_H
#define MYALLOC_SPAN_RUN_H

#include "base/base.h"
#include "heap/region.h"

/* A run of exactly `units`, for a small span or a large one, that is nothing yet. NULL if the OS refuses. */
struct span *span_run_take(size_t units, bool small);

/* Units of such a run, or behind a span in use, are in use: none of them is free and dirty any more. */
void span_run_use(struct region *region, size_t first, size_t units);

#endif
