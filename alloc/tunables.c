/* SPDX-License-Identifier: MIT */
#include "tunables.h"

#include <malloc.h>

struct tunables tunables = {
#define TUNABLE(name, value, least, most, meaning) .name = (value),
#include "tunables.def"
#undef TUNABLE
};

static const struct bound {
    size_t *knob, least, most;
} bounds[] = {
#define TUNABLE(name, value, least, most, meaning) {&tunables.name, (least), (most)},
#include "tunables.def"
#undef TUNABLE
};

static int set(size_t *knob, size_t value) {
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (bounds[i].knob == knob && value >= bounds[i].least && value <= bounds[i].most) {
            *knob = value;
            return 1;
        }
    return 0;
}

static int set_static(size_t *knob, size_t value) {
    int done = set(knob, value);
    if (done)
        tunables.dynamic_threshold = 0;
    return done;
}

int tunables_mallopt(int parameter, int value) {
    /* glibc reads the int as a size: -1 as M_TRIM_THRESHOLD means never. */
    size_t bytes = (size_t)(intptr_t)value;
    switch (parameter) {
    case M_MMAP_THRESHOLD:
        return set_static(&tunables.mmap_threshold, bytes);
    case M_MMAP_MAX:
        return set_static(&tunables.mmap_max, bytes);
    case M_TRIM_THRESHOLD:
        return set_static(&tunables.trim_threshold, bytes);
    case M_TOP_PAD:
        return set_static(&tunables.top_pad, bytes);
    default:
        return 0;
    }
}
