/* SPDX-License-Identifier: MIT */
/*
 * The free blocks of one small span that are at home: a bit each (span_home), and behind the last block that was ever cut
 * those that were not. Caller holds the lock of the class (central.h). What each visit to a span runs is inline here, for
 * central.c.
 *
 * Nothing of a block at home is needed, so an OS page in which no block is in use holds nothing, and its memory may be given
 * back (holes.h). Of such pages a span may know two things, a bit a page in the structure of the page's unit:
 *   returned  it has no memory and reads as zeros. Taking a block there clears the bit.
 *   idle      no block was in use there at the last look, and none has been taken out of the span since.
 * While a span has any such bit it is `paged`, and blocks are taken out of it by home_take_paged.
 *
 * O1 no block is in use in a returned page, and a span of which a page has a bit is paged.
 */
#ifndef MYALLOC_HOME_H
#define MYALLOC_HOME_H

#include "base/freelist.h"
#include "base/sizeclass.h"
#include "heap/span.h"

/* Takes up to `most` of the blocks that are at home in whole groups of `group`, the lowest first and linked in this order.
 * Returns the chain, its length in *count; NULL if there is no such group. */
void *home_take_used(struct span *span, size_t size, size_t most, unsigned group, size_t *count);

/* Cuts up to `most` new blocks, linked in address order. */
static inline void *home_cut(struct span *span, size_t size, size_t most, size_t *count) {
    char *first = span_address(span) + span->carved * size, *at = first;
    *count = min_size(most, (size_t)(span->capacity - span->carved));
    for (size_t i = 1; i < *count; i++, at += size)
        ((struct block *)(void *)at)->next = (struct block *)(void *)(at + size);
    ((struct block *)(void *)at)->next = NULL;
    __atomic_store_n(&span->carved, (uint16_t)(span->carved + *count), __ATOMIC_RELAXED);
    return first;
}

/* Takes blocks, of `size` bytes each, out of a span that has some: up to a batch of those used before, or else up to `most` new
 * ones; one if `most` is 1, and then `group` is 1, too. Blocks that share a cache line, `group` of them (class_line_group), are
 * taken together as long as there are such groups, so that two threads do not write to one line. Returns the chain, its length
 * in *count. */
static inline void *home_take(struct span *span, size_t size, size_t most, unsigned group, size_t *count) {
    /* More is taken of what was used before than is cut, because those pages have memory already. */
    size_t used_most = most > 1 ? max_size(most, class_batch(span->class)) : 1;
    void *chain = span->live < span->carved ? home_take_used(span, size, used_most, group, count) : NULL;
    if (chain == NULL && span->carved < span->capacity)
        chain = home_cut(span, size, align_up(most, group), count);
    if (chain == NULL)
        chain = home_take_used(span, size, used_most, 1, count);
    span->live = (uint16_t)(span->live + *count);
    return chain;
}

/* As home_take, for a paged span: first blocks that lie in pages which have memory. What is taken of pages that have none is
 * counted for the class in home_pages_wanted. */
void *home_take_paged(struct span *span, size_t size, size_t most, unsigned group, size_t *count);

/* OS pages that were given back and have been taken again, since somebody last set it to 0. Each under its class's lock. */
extern HIDDEN _Atomic uint32_t home_pages_wanted[CLASS_COUNT];

/* The OS pages of the span's nth unit in which no block is in use, a bit each. */
unsigned home_free_pages(struct span *span, size_t size, size_t nth);

/* What of the span's nth OS page is in blocks that were cut and are not at home: how many blocks lie there, be it in part, and
 * how many of their bytes. */
struct home_used {
    size_t blocks, bytes;
};
struct home_used home_used_of_page(struct span *span, size_t size, size_t page);

/* How many of the blocks [first, end) are not at home. */
static inline size_t home_count_used(const uint64_t *home, size_t first, size_t end) {
    size_t used = 0;
    for (size_t run; first < end; first += run) {
        run = min_size(64 - first % 64, end - first);
        used += (size_t)__builtin_popcountll(~home[first / 64] & bit_range(first % 64, run));
    }
    return used;
}

/* home_used_of_page by the bits of a span, of whose blocks `carved` were cut: tools have a copy of them. */
static inline struct home_used home_used_by_bits(const uint64_t *home, size_t carved, size_t size, size_t page) {
    size_t from = page * OS_PAGE, to = from + OS_PAGE, first = from / size;
    size_t end = min_size((to + size - 1) / size, carved);
    if (first >= end)
        return (struct home_used){0, 0};
    size_t blocks = home_count_used(home, first, end), bytes = blocks * size;
    if (home_count_used(home, first, first + 1) > 0) /* what of the first lies before the page, and of the last behind it */
        bytes -= from - first * size;
    if (end * size > to && home_count_used(home, end - 1, end) > 0)
        bytes -= end * size - to;
    return (struct home_used){blocks, bytes};
}

/* Bytes of blocks that are at home, or not cut yet, in pages that were given back or never touched. */
size_t home_returned_bytes(const struct span *span, size_t size);

/* True if the block, one of those that were cut, is at home. */
static inline bool home_has(struct span *span, const void *block, uint32_t reciprocal) {
    size_t at = class_position((size_t)((const char *)block - span_address(span)), reciprocal);
    return (span_home(span)[at / 64] >> at % 64 & 1) != 0;
}

/* How many of the blocks that were cut are at home. */
size_t home_count(struct span *span);

#endif
