/* SPDX-License-Identifier: MIT */
#include "why_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

enum { ROWS = 8, FRAMES = 3, COLUMNS = 100 };

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* What another process chose, on a terminal: what that might obey is a question mark. */
static void put_name(const char *name)
{
    for (; *name; name++)
        putchar((unsigned char)*name < ' ' || *name == 0x7f ? '?' : *name);
}

static void put_amount(const struct why *why, uint64_t bytes)
{
    uint64_t all = why->parts->beyond.resident;

    printf("%10.2f %6.1f", mib(bytes), all ? 100 * (double)bytes / (double)all : 0);
}

/* ---- the equation ------------------------------------------------------------------------------------------------ */

static void put_threads(const struct why *why, bool all)
{
    const struct heap_view *view = why->view;
    const uint64_t *listed = why->parts->listed;
    char *told = memory_new(view->thread_count + 1);
    size_t rows = all || view->thread_count < ROWS ? view->thread_count : ROWS;

    for (size_t row = 0; row < rows; row++) { /* the largest that has not been told */
        size_t most = SIZE_MAX;

        for (size_t i = 0; i < view->thread_count; i++) {
            if (!told[i] && (most == SIZE_MAX || listed[i] > listed[most]))
                most = i;
        }
        told[most] = 1;
        if (!listed[most])
            break;
        printf("%10.2f                      of thread ", mib(listed[most]));
        if (view->threads[most].number)
            printf("%d (", view->threads[most].number);
        put_name(view->threads[most].number ? view->threads[most].name : "unknown");
        puts(view->threads[most].number ? ")" : "");
    }
    free(told);
}

static void put_others(const struct why *why, bool all)
{
    const struct other_parts *others = &why->parts->beyond;
    uint64_t rest = 0;

    for (size_t i = 0; i < others->count; i++) {
        if (!all && i >= ROWS) {
            rest += others->list[i].bytes;
            continue;
        }
        printf("%10.2f                      ", mib(others->list[i].bytes));
        put_name(others->list[i].name);
        putchar('\n');
    }
    if (rest)
        printf("%10.2f                      %zu more; --all lists them\n", mib(rest), others->count - ROWS);
}

static void put_row(const struct why *why, size_t n, const struct part_row *row)
{
    char back[24] = "";
    bool is_most;
    uint64_t bytes = why_back(why->parts, n, &is_most);

    if (bytes)
        snprintf(back, sizeof back, "%s%.2f", is_most ? "<" : "", mib(bytes));
    put_amount(why, row->bytes);
    printf(" %10s  %-47s%s\n", back, row->words, row->advice);
}

static uint64_t put_equation(const struct why *why, bool all)
{
    struct part_row row;
    uint64_t sum = 0;

    printf("       MiB      %%  trim gives  what it is                                     what brings it down\n");
    for (size_t n = 0; heap_parts_row(why->parts, n, &row); n++) {
        sum += row.bytes;
        if (!row.bytes)
            continue;
        put_row(why, n, &row);
        if (!strcmp(row.name, "lists"))
            put_threads(why, all);
        else if (!strcmp(row.name, "others"))
            put_others(why, all);
    }
    return sum;
}

static void put_sums(const struct why *why, uint64_t sum)
{
    const struct other_parts *beyond = &why->parts->beyond;

    put_amount(why, sum);
    printf("             in all\n");
    put_amount(why, beyond->resident);
    printf("             resident, as the kernel counts it (Rss)%s\n",
           sum == beyond->resident ? "" : ": it changed meanwhile");
    if (why->parts->huge)
        printf("%10.2f                    of the heap lie in huge pages\n", mib(why->parts->huge));
    if (beyond->lazy)
        printf("%10.2f                    are given back, but counted until the kernel needs them (MADV_FREE)\n",
               mib(beyond->lazy));
    if (beyond->swapped)
        printf("%10.2f                    are swapped out, and counted nowhere here\n", mib(beyond->swapped));
    if (!why->parts->rounding_known)
        puts("Blocks in use are counted with the rounding of their sizes; a profile tells it apart (profile:1, ctl PID profile "
             "on).");
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

static const struct class_parts *sorting;

static int compare_classes(const void *one, const void *other)
{
    uint64_t a = why_waste(&sorting[*(const unsigned *)one]), b = why_waste(&sorting[*(const unsigned *)other]);

    return (a < b) - (a > b);
}

static void put_classes(const struct why *why, bool all)
{
    unsigned order[CLASS_COUNT], count = 0;

    for (unsigned i = 1; i < CLASS_COUNT; i++) {
        if (why_waste(&why->parts->classes[i]))
            order[count++] = i;
    }
    sorting = why->parts->classes;
    qsort(order, count, sizeof *order, compare_classes);
    if (count)
        puts("\nSize classes by what is not in use (MiB): free on pages with blocks, free pages, on lists and between "
             "threads,\npages that are less than a quarter full\n"
             "     bytes     blocks     in use     beside      holes      lists     sparse  in use/all");
    for (unsigned i = 0; i < count && (all || i < ROWS); i++) {
        const struct class_parts *class = &why->parts->classes[order[i]];
        uint64_t here = class->used + class->beside + class->holes;

        printf("%10zu %10" PRIu64 " %10.2f %10.2f %10.2f %10.2f %10.2f %10.0f%%\n", class_bytes(order[i]),
               class->blocks - class->listed - class->transit, mib(class->live), mib(class->beside), mib(class->holes),
               mib(class->used - class->live), mib(class->sparse * OS_PAGE),
               here ? 100 * (double)class->live / (double)here : 0);
    }
    if (!all && count > ROWS)
        printf("%u more; --all lists them\n", count - ROWS);
}

/* ---- call sites -------------------------------------------------------------------------------------------------- */

static void put_stack(const struct sample *sample)
{
    printf("  %s", sample->call);
    for (size_t i = 0; i < sample->depth && i < FRAMES; i++) {
        const struct place_line *line = &sample->places[i]->lines[0];

        fputs(" < ", stdout);
        put_name(line->function->name);
        if (line->line)
            printf(":%d", line->line);
    }
    putchar('\n');
}

static void put_sites(const struct why *why, bool all)
{
    const struct heap_sites *sites = why->sites;

    if (!sites->samples)
        return;
    printf("\nCall sites by free memory that their blocks pin (MiB, by %" PRIu64 " samples): on pages with blocks, of that on "
           "pages that are\nnearly empty, what is in use\n    pinned     sparse     in use  bytes  call < callers\n",
           sites->samples);
    for (size_t i = 0; i < sites->count && (all || i < ROWS); i++) {
        const struct heap_site_part *site = &sites->list[i];

        printf("%10.2f %10.2f %10.2f ", mib(site->pinned), mib(site->sparse), mib(site->bytes));
        if (site->sample->class_bytes)
            printf("%6" PRId64, site->sample->class_bytes);
        else
            printf(" large");
        put_stack(site->sample);
    }
    if (!all && sites->count > ROWS)
        printf("%zu more; --all lists them\n", sites->count - ROWS);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

/* Lines of at most COLUMNS characters. */
static void put_paragraph(const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t length = strcspn(text, " ");

        if (column && column + 1 + length > COLUMNS) {
            putchar('\n');
            column = 0;
        }
        if (column)
            putchar(' ');
        column += (column != 0) + length;
        while (length--) {
            putchar((unsigned char)*text < ' ' ? '?' : *text);
            text++;
        }
        text += strspn(text, " ");
    }
    putchar('\n');
}

void why_text(const struct why *why, bool all)
{
    char *advice = why_advice(why);

    printf("process %d (", why->view->number);
    put_name(why->view->counts.process.name);
    puts("): where its resident memory is");
    put_sums(why, put_equation(why, all));
    put_classes(why, all);
    put_sites(why, all);
    putchar('\n');
    put_paragraph(advice);
    free(advice);
}
