/* SPDX-License-Identifier: MIT */
#include "observe/structures.h"

#include "kit/modes.h"
#include "protect/guarded.h"

const struct structures structures_of_heap = {
    .layout = structures_layout,
    .at = {
#define STRUCTURE(name, address) [STRUCTURE_##name] = (const void *)(address),
#define FIELD(structure, field)
#include "observe/structures.def"
#undef STRUCTURE
#undef FIELD
    },
};
