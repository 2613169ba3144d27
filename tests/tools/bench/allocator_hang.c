/* SPDX-License-Identifier: MIT */
/* Never returns from the call FATAL_CALL. */
#include <stddef.h>
#include <unistd.h>

#include "spin.h"

void *__libc_malloc(size_t size);

static int calls;

void *malloc(size_t size) {
    if (++calls == FATAL_CALL)
        for (;;)
            pause();
    return __libc_malloc(size);
}
