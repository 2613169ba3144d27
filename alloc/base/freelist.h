/* SPDX-License-Identifier: MIT */
/*
 * Chains of free blocks, linked through the blocks themselves: a block's first word is the address of the next, NULL in the
 * last. The second word is the mark by which a second free knows the block (heap/mark.h); the smallest class has blocks of two
 * words. A chain that moves between threads as a whole is one number: the address of its first block, and its length in the
 * bits that no address has.
 */
#ifndef MYALLOC_FREELIST_H
#define MYALLOC_FREELIST_H

#include <stdatomic.h>

#include "base/base.h"

struct block {
    struct block *next;
    uint64_t mark;
};

#define LENGTH_SHIFT ADDRESS_BITS
_Static_assert(LENGTH_SHIFT + 16 <= 64, "a length of 16 bits fits above an address");

/* `first` as a chain of `length` blocks, 1 to 65535, in one number. 0 is no chain. */
static inline uint64_t chain_of(const void *first, size_t length) {
    return (uintptr_t)first | (uint64_t)length << LENGTH_SHIFT;
}

static inline struct block *chain_first(uint64_t chain) {
    return (struct block *)(uintptr_t)(chain & (((uint64_t)1 << LENGTH_SHIFT) - 1));
}

static inline size_t chain_length(uint64_t chain) {
    return (size_t)(chain >> LENGTH_SHIFT);
}

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

#endif
