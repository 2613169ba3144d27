/* SPDX-License-Identifier: MIT */
/*
 * Where mapped regions lie: in the window of the unit map, so that their blocks are freed the fast way. That is one behind the
 * other, above the heap, where the kernel puts nothing by itself. Where something is there, or the kernel does not map at an
 * address that is asked for, a region lies wherever the kernel puts it.
 *
 * Caller holds LOCK_SPANS.
 */
#ifndef MYALLOC_REGION_PLACE_H
#define MYALLOC_REGION_PLACE_H

#include "base/base.h"

/* Maps `bytes` for a region, from a multiple of UNIT on. `heap_end` is where the brk heap ends, 0 if there is none. *window is
 * where the window is to start if this is the first memory. 0 if refused. */
uintptr_t region_place(size_t bytes, uintptr_t heap_end, uintptr_t *window);

#endif
