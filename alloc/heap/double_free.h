/* SPDX-License-Identifier: MIT */
/*
 * Whether a block that is being freed is free already. free asks when it meets the mark (mark.h), which most often means so,
 * but may be a coincidence: then the block is in none of the places where free blocks are, and the free is as any other.
 *
 * Not found is what another thread has on its list behind a block that was written to, or takes from there at this moment.
 */
#ifndef MYALLOC_DOUBLE_FREE_H
#define MYALLOC_DOUBLE_FREE_H

#include "base/base.h"

/* True if the block, in a span of the class, is at home or in any thread's lists or in the class's transfer cache, or if none
 * begins there any more. Takes LOCK_CACHES, LOCK_CLASS and LOCK_SPANS. */
COLD bool double_free_is(const void *block, unsigned class);

#endif
