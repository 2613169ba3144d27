/* SPDX-License-Identifier: MIT */
/*
 * The free blocks of one small span that are at home: a bit each (span_home), and behind the last block that was ever cut
 * those that were not. Caller holds the lock of the class (central.h).
 */
#ifndef MYALLOC_HOME_H
#define MYALLOC_HOME_H

#include "heap/span.h"

/* Takes blocks, of `size` bytes each, out of a span that has some: up to a batch of those used before, or else up to `most` new
 * ones; at most one if `most` is 1. Blocks that share a cache line, `group` of them (class_line_group), are taken
 * together as long as there are such groups, so that two threads do not write to one line. Returns the chain, its length in
 * *count. */
void *home_take(struct span *span, size_t size, size_t most, unsigned group, size_t *count);

/* How many of the blocks that were cut are at home. */
size_t home_count(struct span *span);

#endif
