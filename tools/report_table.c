/* SPDX-License-Identifier: MIT */
#include "report_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "sheet.h"

enum { EXACT_CELL = 16, FIGURE_CELL = 7, PERCENT_CELL = 7, SAMPLES_CELL = 8, NARROW = 76, TAG_MOST = 24 };
enum { MOMENT_END = 12, FILE_LEAST = 8 }; /* columns of when a snapshot was written, and the least of its file's name */

static const char *const kinds[] = {[HEAP_LIVE] = "live", [HEAP_ALL] = "allocated in all", [HEAP_PEAK] = "live at the peak"};

const char *report_kind(enum heap_kind kind)
{
    return kinds[kind];
}

/* ---- cells ------------------------------------------------------------------------------------------------------- */

static const char *number_text(const struct table_form *form, int64_t value, bool is_bytes)
{
    static char text[32];
    const char *sign = form->is_change && value > 0 ? "+" : "";

    if (form->is_exact)
        snprintf(text, sizeof text, "%s%" PRId64, sign, value);
    else if (form->is_change)
        is_bytes ? figure_change(text, (double)value, true) : figure_rate(text, (double)value, true);
    else
        is_bytes ? figure_bytes(text, (double)value) : figure_count(text, (double)value);
    return text;
}

static void put_number(const struct table_form *form, int64_t value, bool is_bytes)
{
    printf("%*s", form->is_exact ? EXACT_CELL : FIGURE_CELL, number_text(form, value, is_bytes));
}

/* How many samples amounts rest on, of a function what it has itself, and with what it called. */
static int samples_cell(const struct table_form *form)
{
    int one = form->is_exact ? EXACT_CELL : SAMPLES_CELL;

    return !form->is_sampled ? 0 : form->has_stacks ? one : one + one / 2;
}

static void put_samples(const struct table_form *form, int64_t own, int64_t all)
{
    char text[48], one[FIGURE_BYTES], other[FIGURE_BYTES];

    if (!form->is_sampled)
        return;
    if (form->is_exact)
        snprintf(text, sizeof text, form->has_stacks ? "%" PRId64 : "%" PRId64 "/%" PRId64, own, all);
    else
        snprintf(text, sizeof text, form->has_stacks ? "%s" : "%s/%s", figure_count(one, (double)own),
                 figure_count(other, (double)all));
    printf("%*s", samples_cell(form), text);
}

/* Of a change it is the part of what there was. */
static void put_percent(int64_t value, int64_t whole)
{
    char text[32] = "-";

    if (whole) {
        double percent = 100 * (double)value / (double)whole;

        snprintf(text, sizeof text, percent >= 99999 ? ">99999%%" : "%.*f%%", percent > 999 || percent < -99 ? 0 : 1, percent);
    }
    printf("%*s", PERCENT_CELL, text);
}

/* A label on a line that has `used` columns already. Bytes that go on with a character of UTF-8 take no column; what a
   terminal might obey is a question mark. */
static void put_label(const struct table_form *form, const char *label, size_t used)
{
    size_t left = form->columns > used ? form->columns - used : form->columns ? 1 : SIZE_MAX, length = 0;
    const char *end = form->is_wide ? "\xe2\x80\xa6" : "~";

    for (const char *c = label; *c; c++)
        length += (*c & 0xc0) != 0x80;
    for (size_t shown = 0; *label; label++) {
        if ((*label & 0xc0) != 0x80 && ++shown == left && length > left) {
            fputs(end, stdout);
            break;
        }
        putchar((unsigned char)*label < ' ' || *label == 0x7f ? '?' : *label);
    }
    putchar('\n');
}

/* On a narrow terminal names need the place of two columns that others make up for. */
static bool is_narrow(const struct table_form *form)
{
    return form->columns && form->columns < NARROW;
}

static size_t columns_of_numbers(const struct table_form *form)
{
    size_t number = form->is_exact ? EXACT_CELL : FIGURE_CELL, samples = (size_t)samples_cell(form);

    if (form->has_stacks)
        return 2 * number + PERCENT_CELL + samples;
    return samples + (is_narrow(form) ? 3 * number + PERCENT_CELL : 4 * number + 2 * PERCENT_CELL);
}

/* "" changes nothing. */
static void colour(const struct table_form *form, const char *code)
{
    if (form->has_colours && *code)
        printf("\033[%sm", code);
}

/* Of growth red, of what shrank blue. */
static const char *colour_of(const struct table_form *form, int64_t value)
{
    return !form->is_change ? "" : value > 0 ? "31" : value < 0 ? "34" : "";
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static int64_t whole_of(const struct stacks *stacks, const struct table_form *form)
{
    return form->is_change ? stacks->samples->before.of[form->kind].bytes : stacks->samples->now.of[form->kind].bytes;
}

static void put_name(const struct stacks *stacks, const struct name *name, const struct table_form *form)
{
    const struct heap_amount *flat = &name->flat.of[form->kind], *total = &name->total.of[form->kind];

    colour(form, colour_of(form, flat->bytes ? flat->bytes : total->bytes));
    put_number(form, flat->bytes, true);
    put_percent(flat->bytes, whole_of(stacks, form));
    put_number(form, total->bytes, true);
    if (!is_narrow(form))
        put_percent(total->bytes, whole_of(stacks, form));
    put_number(form, flat->objects, false);
    if (!is_narrow(form))
        put_number(form, total->objects, false);
    put_samples(form, flat->samples, total->samples);
    colour(form, form->is_change ? "0" : "");
    fputs("  ", stdout);
    put_label(form, name->label, columns_of_numbers(form) + 2);
}

static void put_names(struct stacks *stacks, const struct table_form *form)
{
    size_t shown = 0, left = 0;
    int cell = form->is_exact ? EXACT_CELL : FIGURE_CELL;

    stacks_sort_names(stacks, form->kind);
    colour(form, "1");
    if (is_narrow(form))
        printf("%*s%*s%*s%*s", cell, "FLAT", PERCENT_CELL, "%", cell, "CUM", cell, "OBJ");
    else
        printf("%*s%*s%*s%*s%*s%*s", cell, "FLAT", PERCENT_CELL, "%", cell, "CUM", PERCENT_CELL, "%", cell, "OBJ", cell,
               "CUMOBJ");
    printf("%*s  %s\n", samples_cell(form), form->is_sampled ? "SAMPLES" : "", form->is_by_tag ? "TAG" : "FUNCTION");
    colour(form, "0");
    for (size_t i = 0; i < stacks->name_count; i++) {
        const struct name *name = stacks->names[i];
        bool is_empty = !name->flat.of[form->kind].bytes && !name->total.of[form->kind].bytes &&
                        !name->total.of[form->kind].objects;

        if (!is_empty && form->rows && shown == form->rows)
            left++;
        else if (!is_empty)
            put_name(stacks, name, form), shown++;
    }
    if (left)
        printf("%zu more with --top 0\n", left);
}

/* ---- lifetimes ----------------------------------------------------------------------------------------------------- */

static int64_t freed_of(const struct name *name)
{
    int64_t sum = 0;

    for (int life = 0; life < HEAP_LIVES; life++)
        sum += name->lived[life];
    return sum;
}

static int order_lives(const void *one, const void *other)
{
    const struct name *a = *(struct name *const *)one, *b = *(struct name *const *)other;
    int64_t freed_a = freed_of(a), freed_b = freed_of(b);

    return freed_a != freed_b ? (freed_a < freed_b ? 1 : -1) : strcmp(a->label, b->label);
}

/* Of each function what it has allocated itself and what is free by now. */
static void put_lives(struct stacks *stacks, const struct table_form *form)
{
    static const char *const heads[HEAP_LIVES] = {"<10ms", "<.1s", "<1s", "<10s", "<100s", "more"};
    int cell = form->is_exact ? EXACT_CELL : FIGURE_CELL;
    size_t shown = 0, left = 0;

    qsort(stacks->names, stacks->name_count, sizeof *stacks->names, order_lives);
    colour(form, "1");
    printf("%*s", cell, "FREED");
    for (int life = 0; life < HEAP_LIVES; life++)
        printf("%*s", PERCENT_CELL, heads[life]);
    fputs("  FUNCTION\n", stdout);
    colour(form, "0");
    for (size_t i = 0; i < stacks->name_count; i++) {
        const struct name *name = stacks->names[i];
        int64_t freed = freed_of(name);

        if (freed && form->rows && shown == form->rows)
            left++;
        if (!freed || (form->rows && shown == form->rows))
            continue;
        put_number(form, freed, false);
        for (int life = 0; life < HEAP_LIVES; life++)
            put_percent(name->lived[life], freed);
        fputs("  ", stdout);
        put_label(form, name->label, (size_t)cell + HEAP_LIVES * PERCENT_CELL + 2);
        shown++;
    }
    if (left)
        printf("%zu more with --top 0\n", left);
}

static void put_stack(const struct stacks *stacks, const struct stack *stack, const struct table_form *form)
{
    const struct heap_amount *amount = &stack->change.of[form->kind];

    colour(form, colour_of(form, amount->bytes));
    put_number(form, amount->bytes, true);
    put_percent(amount->bytes, whole_of(stacks, form));
    put_number(form, amount->objects, false);
    put_samples(form, amount->samples, amount->samples);
    colour(form, form->is_change ? "0" : "");
    for (size_t i = stack->depth; i-- > 0;) {
        if (i + 1 < stack->depth)
            printf("%*s", (int)columns_of_numbers(form), "");
        fputs("  ", stdout);
        put_label(form, stack->names[i]->label, columns_of_numbers(form) + 2);
    }
}

static void put_stacks(struct stacks *stacks, const struct table_form *form)
{
    int cell = form->is_exact ? EXACT_CELL : FIGURE_CELL;
    size_t shown = 0, left = 0;

    stacks_sort(stacks, form->kind);
    colour(form, "1");
    printf("%*s%*s%*s%*s  CALL STACK, innermost first\n", cell, "BYTES", PERCENT_CELL, "%", cell, "OBJ", samples_cell(form),
           form->is_sampled ? "SAMPLES" : "");
    colour(form, "0");
    for (size_t i = 0; i < stacks->count; i++) {
        const struct heap_amount *amount = &stacks->list[i]->change.of[form->kind];
        bool is_empty = !amount->bytes && !amount->objects;

        if (!is_empty && form->rows && shown == form->rows)
            left++;
        else if (!is_empty)
            put_stack(stacks, stacks->list[i], form), shown++;
    }
    if (left)
        printf("%zu more with --top 0\n", left);
}

/* ---- snapshots ----------------------------------------------------------------------------------------------------- */

static const char *const moment_heads[HEAP_KINDS] = {"LIVE", "ALLOCATED", "PEAK"};

/* When it was written and its file, on a line that has `used` columns already. */
static void put_moment_end(const struct table_form *form, const struct moment *moment, size_t used)
{
    char time[16] = "-";
    struct tm local;

    if (moment->written && localtime_r(&moment->written, &local))
        strftime(time, sizeof time, "%H:%M:%S", &local);
    printf("  %-8s  ", time);
    put_label(form, moment->file, used + MOMENT_END);
}

void report_moments(const struct moment *moments, size_t count, const struct table_form *form)
{
    int cell = form->is_exact ? EXACT_CELL : FIGURE_CELL + 4;

    put_label(form, form->of, 0);
    colour(form, "1");
    printf("%*s%*s", cell, moment_heads[HEAP_LIVE], cell, "OBJ");
    printf("%*s%*s  WRITTEN   SNAPSHOT\n", cell, moment_heads[HEAP_ALL], cell, moment_heads[HEAP_PEAK]);
    colour(form, "0");
    for (size_t i = 0; i < count; i++) {
        const struct heap_amount *of = moments[i].totals.of;

        printf("%*s", cell, number_text(form, of[HEAP_LIVE].bytes, true));
        printf("%*s", cell, number_text(form, of[HEAP_LIVE].objects, false));
        printf("%*s", cell, number_text(form, of[HEAP_ALL].bytes, true));
        printf("%*s", cell, number_text(form, of[HEAP_PEAK].bytes, true));
        put_moment_end(form, &moments[i], 4 * (size_t)cell);
    }
}

/* A tag, the most that it has in any snapshot, and how wide its column is. */
struct tag_column {
    const struct stack *stack;
    int64_t most;
    int cell;
};

/* How many bytes of the text fit into `room` columns; `columns` are what these take. Bytes that go on with a character of UTF-8
   take none. */
static size_t fitting(const char *text, size_t length, int room, int *columns)
{
    size_t bytes = 0;

    *columns = 0;
    for (; bytes < length && (*columns < room || (text[bytes] & 0xc0) == 0x80); bytes++)
        *columns += (text[bytes] & 0xc0) != 0x80;
    return bytes;
}

/* The word of a tag, or that there is none. */
static const char *tag_word(const struct tag_column *column, size_t *length)
{
    static const char before[] = "[tag ";
    const char *label = column->stack->names[0]->label;
    bool is_tag = !strncmp(label, before, sizeof before - 1);

    *length = strlen(label) - (is_tag ? sizeof before : 0);
    return is_tag ? label + sizeof before - 1 : label;
}

static int order_tags(const void *one, const void *other)
{
    const struct tag_column *a = one, *b = other;

    return a->most != b->most ? (a->most < b->most ? 1 : -1)
                              : strcmp(a->stack->names[0]->label, b->stack->names[0]->label);
}

static int tag_cell(const struct tag_column *column, const struct table_form *form)
{
    size_t length;
    const char *word = tag_word(column, &length);
    int columns, least = form->is_exact ? EXACT_CELL : FIGURE_CELL + 4;

    fitting(word, length, TAG_MOST, &columns);
    return columns + 2 > least ? columns + 2 : least;
}

/* Those that have any, the largest first; `count` is how many. To be freed. */
static struct tag_column *tag_columns(const struct stacks *stacks, const struct table_form *form, size_t *count)
{
    struct tag_column *columns = memory_new(stacks->count * sizeof *columns);

    *count = 0;
    for (size_t i = 0; i < stacks->count; i++) {
        int64_t most = 0;

        for (size_t k = 0; k < stacks->samples->moment_count; k++) {
            int64_t bytes = stacks->list[i]->moments[k].of[form->kind].bytes;

            most = bytes > most ? bytes : most;
        }
        if (most)
            columns[(*count)++] = (struct tag_column){stacks->list[i], most, 0};
    }
    qsort(columns, *count, sizeof *columns, order_tags);
    for (size_t i = 0; i < *count; i++)
        columns[i].cell = tag_cell(&columns[i], form);
    return columns;
}

/* How many of them a line has room for, beside the total, the others and the end. */
static size_t tags_fitting(const struct tag_column *columns, size_t count, const struct table_form *form, size_t cell)
{
    size_t used = MOMENT_END + FILE_LEAST + 2 * cell, fit = 0;

    while (fit < count && (!form->rows || fit < form->rows) &&
           (!form->columns || used + (size_t)columns[fit].cell <= form->columns))
        used += (size_t)columns[fit++].cell;
    return fit;
}

static void put_tag_heads(const struct tag_column *columns, size_t shown)
{
    for (size_t i = 0; i < shown; i++) {
        int width;
        size_t length, bytes;
        const char *word = tag_word(&columns[i], &length);

        bytes = fitting(word, length, columns[i].cell - 2, &width);
        printf("%*s", columns[i].cell - width, "");
        for (size_t k = 0; k < bytes; k++)
            putchar((unsigned char)word[k] < ' ' || word[k] == 0x7f ? '?' : word[k]);
    }
}

/* A snapshot: what all have, each tag that is shown, and the others if there are any. */
static void put_tags(const struct tag_column *columns, size_t shown, bool has_others, size_t at, int64_t all,
                     const struct table_form *form)
{
    int cell = form->is_exact ? EXACT_CELL : FIGURE_CELL + 4;
    int64_t others = all;

    printf("%*s", cell, number_text(form, all, true));
    for (size_t i = 0; i < shown; i++) {
        int64_t bytes = columns[i].stack->moments[at].of[form->kind].bytes;

        printf("%*s", columns[i].cell, number_text(form, bytes, true));
        others -= bytes;
    }
    if (has_others)
        printf("%*s", cell, number_text(form, others, true));
}

void report_moments_by_tag(const struct stacks *stacks, const struct moment *moments, const struct table_form *form)
{
    int cell = form->is_exact ? EXACT_CELL : FIGURE_CELL + 4;
    size_t count, used = (size_t)cell, shown;
    struct tag_column *columns = tag_columns(stacks, form, &count);
    bool has_others;

    shown = tags_fitting(columns, count, form, (size_t)cell);
    has_others = count > shown;
    for (size_t i = 0; i < shown; i++)
        used += (size_t)columns[i].cell;
    used += has_others ? (size_t)cell : 0;
    put_label(form, form->of, 0);
    colour(form, "1");
    printf("%*s", cell, moment_heads[form->kind]);
    put_tag_heads(columns, shown);
    printf("%*s  WRITTEN   SNAPSHOT\n", has_others ? cell : 0, has_others ? "OTHERS" : "");
    colour(form, "0");
    for (size_t at = 0; at < stacks->samples->moment_count; at++) {
        put_tags(columns, shown, has_others, at, moments[at].totals.of[form->kind].bytes, form);
        put_moment_end(form, &moments[at], used);
    }
    free(columns);
}

/* Who sees little or nothing live, as at the end of a program that frees all, may have meant the peak. */
static void put_hint(const struct stacks *stacks, const struct table_form *form)
{
    const struct heap_amount *of = stacks->change.of;
    char *peak, *line;

    if (form->is_change || form->has_lives || form->kind != HEAP_LIVE || of[HEAP_PEAK].bytes / 4 <= of[HEAP_LIVE].bytes)
        return;
    peak = memory_format("%s", number_text(form, of[HEAP_PEAK].bytes, true));
    line = memory_format("at the peak %s bytes were live: --peak; in all %s were allocated: --alloc", peak,
                         number_text(form, of[HEAP_ALL].bytes, true));
    put_label(form, line, 0);
    free(peak);
    free(line);
}

void report_table(struct stacks *stacks, const struct table_form *form)
{
    const struct heap_amount *sum = &stacks->change.of[form->kind];
    char *bytes = memory_format("%s", number_text(form, sum->bytes, true));
    char *head = memory_format(form->is_change ? "growth: %s bytes, %s objects %s: %s" : "%s bytes in %s objects %s: %s", bytes,
                               number_text(form, sum->objects, false), report_kind(form->kind), form->of);

    put_label(form, head, 0);
    if (form->is_sampled && !form->has_lives)
        put_label(form, "estimated: by 100 samples right to about 10 %, by 10 to about 30 %, by 1 to as much again", 0);
    free(bytes);
    free(head);
    put_hint(stacks, form);
    if (form->has_lives)
        put_lives(stacks, form);
    else if (form->has_stacks)
        put_stacks(stacks, form);
    else
        put_names(stacks, form);
}
