/* SPDX-License-Identifier: MIT */
/* Aborts in the call FATAL_CALL. */
#include <stddef.h>
#include <stdlib.h>

#include "spin.h"

void *__libc_malloc(size_t size);

static int calls;

void *malloc(size_t size) {
    if (++calls == FATAL_CALL)
        abort();
    return __libc_malloc(size);
}
