/* SPDX-License-Identifier: MIT */
/*
 * Chains of free blocks. A block's first word links to the next, NULL at the end. The first block of a chain
 * that travels alone keeps the chain's length in its second word; every block has at least two words.
 */
#ifndef MYALLOC_FREELIST_H
#define MYALLOC_FREELIST_H

#include <stdatomic.h>

#include "base/base.h"

struct block {
    struct block *next;
    size_t count; /* only in the first block of a travelling chain */
};

static inline void freelist_push(void **head, void *block) {
    ((struct block *)block)->next = *head;
    atomic_signal_fence(memory_order_release); /* a fork may copy the list at any instruction (cache.h) */
    *head = block;
}

static inline void *freelist_pop(void **head) {
    struct block *block = *head;
    *head = block->next;
    return block;
}

/* Length of a chain, by walking it. */
static inline size_t freelist_length(const void *head) {
    size_t length = 0;
    for (const struct block *block = head; block != NULL; block = block->next)
        length++;
    return length;
}

#endif
