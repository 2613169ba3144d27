/* SPDX-License-Identifier: MIT */
/*
 * Chains of free blocks, linked through the blocks themselves: a block's first word is the address of the next, NULL in the
 * last. Where a chain moves between threads as a whole, the second word of its first block is the chain's length; the
 * smallest class has blocks of two words.
 */
#ifndef MYALLOC_FREELIST_H
#define MYALLOC_FREELIST_H

#include <stdatomic.h>

#include "base/base.h"

struct block {
    struct block *next;
    size_t count; /* only in the first block of a chain that moves as a whole */
};

static inline void freelist_push(void **head, void *block) {
    ((struct block *)block)->next = *head;
    /* Linked before it is the head: a fork by another thread copies the list at any instruction (ORDERED, heap/bins.h). */
    atomic_signal_fence(memory_order_release);
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
