/* SPDX-License-Identifier: MIT */
#include "report_speedscope.h"

#include <inttypes.h>

#include "json_text.h"
#include "report_table.h"

static void put_frames(FILE *out, const struct stacks *stacks)
{
    fputs("\"shared\":{\"frames\":[", out);
    for (size_t i = 0; i < stacks->name_count; i++) {
        const struct name *name = stacks->names[i];

        fputs(i ? ",\n{\"name\":" : "{\"name\":", out);
        json_text(out, name->label);
        if (*name->file) {
            fputs(",\"file\":", out);
            json_text(out, name->file);
        }
        if (name->line)
            fprintf(out, ",\"line\":%d", name->line);
        putc('}', out);
    }
    fputs("]}", out);
}

static void put_profile(FILE *out, const struct stacks *stacks, enum heap_kind kind)
{
    const char *comma = "";

    fprintf(out, "{\"type\":\"sampled\",\"name\":\"%s\",\"unit\":\"bytes\",\"startValue\":0,\"endValue\":%" PRId64
            ",\"samples\":[", report_kind(kind), stacks->samples->now.of[kind].bytes);
    for (size_t i = 0; i < stacks->count; i++) {
        const struct stack *stack = stacks->list[i];

        if (!stack->now.of[kind].bytes)
            continue;
        fprintf(out, "%s[", comma);
        for (size_t j = 0; j < stack->depth; j++)
            fprintf(out, "%s%zu", j ? "," : "", stack->names[j]->number);
        putc(']', out);
        comma = ",\n";
    }
    fputs("],\"weights\":[", out);
    comma = "";
    for (size_t i = 0; i < stacks->count; i++) {
        if (!stacks->list[i]->now.of[kind].bytes)
            continue;
        fprintf(out, "%s%" PRId64, comma, stacks->list[i]->now.of[kind].bytes);
        comma = ",";
    }
    fputs("]}", out);
}

void report_speedscope(FILE *out, const struct stacks *stacks, enum heap_kind kind, const char *of)
{
    fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n\"exporter\":\"myalloc " MYALLOC_VERSION
          "\",\n\"name\":", out);
    json_text(out, of);
    fprintf(out, ",\n\"activeProfileIndex\":%d,\n", kind);
    put_frames(out, stacks);
    fputs(",\n\"profiles\":[", out);
    for (int i = 0; i < HEAP_KINDS; i++) {
        fputs(i ? ",\n" : "", out);
        put_profile(out, stacks, i);
    }
    fputs("]}\n", out);
}
