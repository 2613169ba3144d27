/* SPDX-License-Identifier: MIT */
/* Blocks by the addresses at which they lie, while calls become a recording. */
#ifndef TOOLS_PLACED_H
#define TOOLS_PLACED_H

#include <stdbool.h>

#include "table.h"

/* The block lies at the address, which is not 0, from now on. True if another one lay there: `before`. */
bool placed_put(struct table *blocks, uint64_t address, uint64_t block, uint64_t *before);

/* Takes the block at the address away; false if there is none. */
bool placed_take(struct table *blocks, uint64_t address, uint64_t *block);

#endif
