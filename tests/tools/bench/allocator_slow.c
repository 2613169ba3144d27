/* SPDX-License-Identifier: MIT */
/* Each malloc spins for twice what load_blocks.c spins a block: that load takes three times as long. */
#include <stddef.h>

#include "spin.h"

void *__libc_malloc(size_t size);

void *malloc(size_t size) {
    spin(SLOW_FACTOR * SPIN_TURNS);
    return __libc_malloc(size);
}
