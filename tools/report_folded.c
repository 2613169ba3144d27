/* SPDX-License-Identifier: MIT */
#include "report_folded.h"

#include <inttypes.h>

/* The form has no way to write a semicolon in a name, and Rust's types have them. */
static void put_label(FILE *out, const char *label)
{
    for (; *label; label++)
        putc(*label == ';' ? ':' : (unsigned char)*label < ' ' ? '?' : *label, out);
}

void report_folded(FILE *out, const struct stacks *stacks, enum heap_kind kind, bool is_change)
{
    for (size_t i = 0; i < stacks->count; i++) {
        const struct stack *stack = stacks->list[i];
        int64_t before = stack->before.of[kind].bytes, now = stack->now.of[kind].bytes;

        if (!before && !now)
            continue;
        for (size_t j = 0; j < stack->depth; j++) {
            if (j)
                putc(';', out);
            put_label(out, stack->names[j]->label);
        }
        if (is_change)
            fprintf(out, " %" PRId64, before);
        fprintf(out, " %" PRId64 "\n", now);
    }
}
