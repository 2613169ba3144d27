/* SPDX-License-Identifier: MIT */
#include "report_html.h"

#include <inttypes.h>
#include <string.h>

#include "json_text.h"
#include "report_page.h" /* made of report_page.html: a string */
#include "report_table.h"

static const char page[] = REPORT_PAGE, mark[] = "@DATA@";

static void put_names(FILE *out, const struct stacks *stacks)
{
    fputs("\"names\":[", out);
    for (size_t i = 0; i < stacks->name_count; i++) {
        fputs(i ? ",\n" : "", out);
        json_text(out, stacks->names[i]->label);
    }
    fputs("],\n\"files\":[", out);
    for (size_t i = 0; i < stacks->name_count; i++) {
        fputs(i ? ",\n" : "", out);
        json_text(out, stacks->names[i]->file);
    }
    fputs("],\n", out);
}

/* [[bytes, objects] of each kind] */
static void put_amounts(FILE *out, const struct heap_amounts *amounts)
{
    for (int kind = 0; kind < HEAP_KINDS; kind++)
        fprintf(out, "%s%" PRId64 ",%" PRId64, kind ? "],[" : "[[", amounts->of[kind].bytes, amounts->of[kind].objects);
    fputs("]]", out);
}

static void put_stacks(FILE *out, const struct stacks *stacks, bool is_change)
{
    fputs("\"stacks\":[", out);
    for (size_t i = 0; i < stacks->count; i++) {
        const struct stack *stack = stacks->list[i];

        fputs(i ? ",\n{\"s\":[" : "{\"s\":[", out);
        for (size_t j = 0; j < stack->depth; j++)
            fprintf(out, "%s%zu", j ? "," : "", stack->names[j]->number);
        fputs("],\"now\":", out);
        put_amounts(out, &stack->now);
        if (is_change) {
            fputs(",\"before\":", out);
            put_amounts(out, &stack->before);
        }
        putc('}', out);
    }
    putc(']', out);
}

void report_html(FILE *out, const struct stacks *stacks, enum heap_kind kind, bool is_change, const char *of)
{
    const char *at = strstr(page, mark);

    fwrite(page, 1, (size_t)(at - page), out);
    fputs("{\"of\":", out);
    json_text(out, of);
    fprintf(out, ",\n\"change\":%s,\"kind\":%d,\n\"kinds\":[", is_change ? "true" : "false", kind);
    for (int i = 0; i < HEAP_KINDS; i++) {
        fputs(i ? "," : "", out);
        json_text(out, report_kind(i));
    }
    fputs("],\n", out);
    put_names(out, stacks);
    put_stacks(out, stacks, is_change);
    putc('}', out);
    fputs(at + sizeof mark - 1, out);
}
