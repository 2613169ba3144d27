/* SPDX-License-Identifier: MIT */
/* The call FATAL_CALL returns the block of the call before. */
#include <stddef.h>

#include "spin.h"

void *__libc_malloc(size_t size);

static int calls;
static void *last;

void *malloc(size_t size) {
    if (++calls == FATAL_CALL)
        return last;
    return last = __libc_malloc(size);
}
