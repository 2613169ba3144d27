/* SPDX-License-Identifier: MIT */
/*
 * The free blocks that malloc_trim would send home before it looks for pages without a block in use: on this thread's lists,
 * and on their way between threads. They are counted by OS pages: a page of whose blocks all are at home or counted
 * here will be free. Nothing is moved.
 *
 * No lock between calls: what other threads do meanwhile may be half counted.
 */
#ifndef MYALLOC_GATHERED_H
#define MYALLOC_GATHERED_H

#include "base/base.h"

struct gathered;

/* Counts them, in memory of its own: two bytes for each OS page of the heap, of which only those are touched whose pages have
 * such blocks. NULL if it is refused. */
struct gathered *gathered_count(void);
void gathered_drop(struct gathered *gathered);

/* How many such blocks lie in a page of a region, be it in part. 0 where `gathered` is NULL. */
size_t gathered_blocks(const struct gathered *gathered, unsigned region, size_t page);

#endif
