/* SPDX-License-Identifier: MIT */
/* Under protect:paranoid the first blocks lie on guarded pages. With as few of those as there can be, and none by the
 * count (ROOMS_OPTIONS of paranoid.test), some hundred blocks use them up: all later ones are hardened. */
#ifndef TESTS_PROTECT_ROOMS_H
#define TESTS_PROTECT_ROOMS_H

#include <stdlib.h>

static void *rooms_kept[400];

__attribute__((unused)) static void rooms_only(void) {
    for (size_t i = 0; i < sizeof rooms_kept / sizeof *rooms_kept; i++)
        rooms_kept[i] = malloc(16 << i % 12);
}

#endif
