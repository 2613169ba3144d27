/* SPDX-License-Identifier: MIT */
/*
 * The pages of a hardened block that has some of its own (hardened_mapped.h), and the addresses around them that cannot be
 * touched: a slot of a lane (hardened_lanes.h), where nothing but the block is mapped. Where the kernel maps at no address that
 * is asked for they are reserved, and short, because RLIMIT_AS counts them then. A joined block has none: the kernel makes one
 * mapping of its pages and those beside them, and a canary behind takes their place.
 *
 * No lock: a block's pages are those of the one thread that allocates or frees it.
 */
#ifndef MYALLOC_HARDENED_PAGES_H
#define MYALLOC_HARDENED_PAGES_H

#include "base/base.h"
#include "kit/random.h"

struct pages {
    char *start; /* of the block */
    size_t bytes;
    char *map, *data; /* its addresses; its pages that can be touched */
    size_t map_bytes, data_bytes;
    bool in_lane;  /* its addresses are a slot, of which the pages alone are mapped */
    bool joined;
    bool unmapped; /* in a lane: the pages are gone */
};

static inline char *pages_tail(const struct pages *pages) {
    return pages->start + pages->bytes;
}

static inline char *pages_end(const struct pages *pages) {
    return pages->data + pages->data_bytes;
}

/* Mappings of the process that one block's take. */
static inline size_t pages_mappings(const struct pages *pages) {
    return pages->joined ? 0 : pages->in_lane ? 1 : 2;
}

/* Takes a slot for a block of `bytes` that is not joined, if there is one. Caller holds the lock of the lanes. */
void pages_take_slot(struct pages *pages, size_t align, struct random *random);

/* Charges and maps pages for the block, of which `bytes` and `joined` are set, in the slot that it has or else anywhere; its
 * place is random by `shift`. False if refused. */
#define PAGES_SHIFTS 16
bool pages_map(struct pages *pages, size_t align, size_t shift);

/* Gives the pages of a freed block back, so that an access faults, or where it is joined to others finds zeros; its addresses
 * stay as they are. False if refused. */
bool pages_close(struct pages *pages);

/* Unmaps what is still mapped at its addresses. False if refused. */
bool pages_unmap(const struct pages *pages);

/* Whether its parts lie in each other as they must (P5 of hardened_mapped.h). */
bool pages_are_nested(const struct pages *pages);

#endif
