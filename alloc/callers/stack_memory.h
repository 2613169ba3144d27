/* SPDX-License-Identifier: MIT */
/*
 * Reading words that may not be there: a smashed stack leads anywhere. The kernel is asked for each page once, and the ranges
 * of pages that it could read are kept. The pages between the stack pointer and a frame that was read before stay mapped for as
 * long as the thread is on that stack, so it is enough to have asked once; a thread that goes to another stack reads there in
 * another range.
 */
#ifndef MYALLOC_STACK_MEMORY_H
#define MYALLOC_STACK_MEMORY_H

#include "base/base.h"

#define STACK_RANGES 4 /* the thread's stack, that of its signal handlers, two for what lies behind large arrays */

struct stack_memory {
    struct {
        uintptr_t start, end; /* whole pages that can be read */
    } ranges[STACK_RANGES];
    unsigned next; /* the range that makes room for a new one */
};

bool stack_memory_extend_slow(struct stack_memory *memory, uintptr_t at);

/* Whether the word at `at`, a multiple of eight, can be read. */
static inline bool stack_memory_has(struct stack_memory *memory, uintptr_t at) {
    for (unsigned i = 0; i < STACK_RANGES; i++)
        if (at - memory->ranges[i].start < memory->ranges[i].end - memory->ranges[i].start)
            return at % sizeof(uint64_t) == 0;
    return stack_memory_extend_slow(memory, at);
}

/* Reads a word. False if it cannot be read, or lies across two words. */
static inline bool stack_memory_read(struct stack_memory *memory, uintptr_t at, uintptr_t *value) {
    if (!stack_memory_has(memory, at))
        return false;
    *value = *(const uintptr_t *)at;
    return true;
}

/* Copies a few bytes, less than a page, from any address. */
bool stack_memory_copy(struct stack_memory *memory, uintptr_t from, void *out, size_t bytes);

#endif
