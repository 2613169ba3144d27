/* SPDX-License-Identifier: MIT */
/* What a debugger needs to know of the structures and debug information does not keep: numbers that are macros, and
 * enums that type no variable. Read by tools/gdb; no code refers to it. */
#include "base/base.h"
#include "base/sizeclass.h"
#include "heap/span.h"

static const struct layout {
    unsigned unit_shift, class_step, exact_classes, class_count, home_words;
    enum span_state state;
} layout __attribute__((used)) = {UNIT_SHIFT, CLASS_STEP, EXACT_CLASSES, CLASS_COUNT, HOME_WORDS, SPAN_NONE};
