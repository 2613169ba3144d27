/* SPDX-License-Identifier: MIT */
#include "report_html.h"

#include <inttypes.h>

#include "html_page.h"
#include "json_text.h"
#include "report_page.h" /* made of report_page.html: a string */
#include "report_table.h"

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

/* [[bytes, objects, samples] of each kind] */
static void put_amounts(FILE *out, const struct heap_amounts *amounts)
{
    for (int kind = 0; kind < HEAP_KINDS; kind++)
        fprintf(out, "%s%" PRId64 ",%" PRId64 ",%" PRId64, kind ? "],[" : "[[", amounts->of[kind].bytes,
                amounts->of[kind].objects, amounts->of[kind].samples);
    fputs("]]", out);
}

/* [number, bytes, objects and samples of each kind] of each snapshot in which there are any. */
static void put_moments_of(FILE *out, const struct stack *stack, size_t count)
{
    const char *comma = "";

    fputs(",\"at\":[", out);
    for (size_t i = 0; i < count; i++) {
        const struct heap_amount *of = stack->moments[i].of;

        if (!of[HEAP_LIVE].objects && !of[HEAP_ALL].objects && !of[HEAP_PEAK].objects && !of[HEAP_ALL].bytes)
            continue;
        fprintf(out, "%s[%zu", comma, i);
        for (int kind = 0; kind < HEAP_KINDS; kind++)
            fprintf(out, ",%" PRId64 ",%" PRId64 ",%" PRId64, of[kind].bytes, of[kind].objects, of[kind].samples);
        putc(']', out);
        comma = ",";
    }
    putc(']', out);
}

static void put_moments(FILE *out, const struct moment *moments, size_t count)
{
    fputs("\"moments\":[", out);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ",\n{\"file\":" : "{\"file\":", out);
        json_text(out, moments[i].file);
        fprintf(out, ",\"written\":%lld,\"totals\":", (long long)moments[i].written);
        put_amounts(out, &moments[i].totals);
        putc('}', out);
    }
    fputs("],\n", out);
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
        if (stack->moments)
            put_moments_of(out, stack, stacks->samples->moment_count);
        putc('}', out);
    }
    putc(']', out);
}

void report_html(FILE *out, const struct stacks *stacks, const struct table_form *form, const struct moment *moments)
{
    const char *behind = html_page_begin(out, REPORT_PAGE);

    fputs("{\"of\":", out);
    json_text(out, form->of);
    fprintf(out, ",\n\"change\":%s,\"tags\":%s,\"sampled\":%s,\"kind\":%d,\n\"kinds\":[",
            form->is_change ? "true" : "false", form->is_by_tag ? "true" : "false", form->is_sampled ? "true" : "false",
            form->kind);
    for (int i = 0; i < HEAP_KINDS; i++) {
        fputs(i ? "," : "", out);
        json_text(out, report_kind(i));
    }
    fputs("],\n", out);
    put_names(out, stacks);
    if (moments)
        put_moments(out, moments, stacks->samples->moment_count);
    put_stacks(out, stacks, form->is_change);
    putc('}', out);
    fputs(behind, out);
}
