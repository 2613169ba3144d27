/* SPDX-License-Identifier: MIT */
/*
 * The bytes around and in a checked block by which a fault is seen: canaries before and behind it, and the pattern that a freed
 * one is filled with. What lies where is told in check.h; the record is the block's, whose lock the caller holds.
 */
#ifndef MYALLOC_CHECK_CANARIES_H
#define MYALLOC_CHECK_CANARIES_H

#include <string.h>

#include "base/canary.h"
#include "protect/check_records.h"

#define CHECK_CANARY BLOCK_ALIGN
#define CHECK_SECRET 0 /* the checks keep no attackers out */

/* Bytes of the plain block that a checked one needs; SIZE_MAX if there is no such number. */
static inline size_t check_plain_bytes_for(size_t bytes, size_t align) {
    size_t around = max_size(align, CHECK_CANARY) + CHECK_CANARY;
    return bytes > SIZE_LIMIT - around - 8 ? SIZE_MAX : align_up(bytes, 8) + around;
}

/* Where the canary behind a block ends. */
static inline char *check_tail_end(const struct check_record *record) {
    return record->block + align_up(record->bytes, 8) + CHECK_CANARY;
}

static inline void check_canaries_write(const struct check_record *record) {
    canary_write(CHECK_SECRET, record->block - CHECK_CANARY, record->block, NULL);
    canary_write(CHECK_SECRET, record->block + record->bytes, check_tail_end(record), NULL);
}

/* The changed canary byte that is nearest to the block; NULL if none has changed. */
static inline const char *check_canaries_look(const struct check_record *record) {
    const char *before = canary_look_back(CHECK_SECRET, record->block - CHECK_CANARY, record->block, NULL);
    const char *end = check_tail_end(record), *behind = canary_look(CHECK_SECRET, record->block + record->bytes, end, NULL);
    return before != NULL ? before : behind < end ? behind : NULL;
}

/* Position of the first byte that is not the pattern, or `bytes`. */
static inline size_t check_pattern_length(const unsigned char *p, unsigned char pattern, size_t bytes) {
    if (bytes == 0 || (p[0] == pattern && memcmp(p, p + 1, bytes - 1) == 0))
        return bytes;
    size_t at = 0;
    while (at < bytes && p[at] == pattern)
        at++;
    return at;
}

#endif
