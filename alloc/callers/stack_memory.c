/* SPDX-License-Identifier: MIT */
#include "callers/stack_memory.h"

#include <string.h>

#include "os/os.h"

#define NEAR 16 /* pages to a range that then reaches the new one */

static bool can_read_pages(uintptr_t from, uintptr_t to) {
    for (; from < to; from += OS_PAGE)
        if (!os_can_read((const void *)from))
            return false;
    return true;
}

/* A page near a range becomes part of it, with those between. */
static bool extend(struct stack_memory *memory, uintptr_t page) {
    for (unsigned i = 0; i < STACK_RANGES; i++) {
        uintptr_t *start = &memory->ranges[i].start, *end = &memory->ranges[i].end;
        if (*start == *end)
            continue;
        if (page - *end < NEAR * OS_PAGE && can_read_pages(*end, page)) {
            *end = page + OS_PAGE;
            return true;
        }
        if (*start - page <= NEAR * OS_PAGE && can_read_pages(page + OS_PAGE, *start)) {
            *start = page;
            return true;
        }
    }
    return false;
}

COLD bool stack_memory_extend_slow(struct stack_memory *memory, uintptr_t at) {
    uintptr_t page = align_down(at, OS_PAGE);
    if (at % sizeof(uint64_t) != 0 || page == 0 || page + OS_PAGE == 0 || !os_can_read((const void *)page))
        return false;
    if (!extend(memory, page)) {
        unsigned i = memory->next++ % STACK_RANGES;
        memory->ranges[i].start = page;
        memory->ranges[i].end = page + OS_PAGE;
    }
    return true;
}

bool stack_memory_copy(struct stack_memory *memory, uintptr_t from, void *out, size_t bytes) {
    uintptr_t last = from + bytes - 1;
    if (last < from || !stack_memory_has(memory, align_down(from, 8)) || !stack_memory_has(memory, align_down(last, 8)))
        return false;
    memcpy(out, (const void *)from, bytes);
    return true;
}
