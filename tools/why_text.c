/* SPDX-License-Identifier: MIT */
#include "why_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

enum { ROWS = 8, FRAMES = 3, COLUMNS = 100 };

/* What amounts are in, all of them: in MiB the rows of a small process would be zeros. */
static const struct unit {
    const char *name;
    double bytes;
    int decimals;
} kib = {"KiB", 1 << 10, 1}, mib = {"MiB", 1 << 20, 2}, *unit;

enum { SMALL_BYTES = 100 << 20 };

static void put_bytes(uint64_t bytes)
{
    printf("%10.*f", unit->decimals, (double)bytes / unit->bytes);
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

    put_bytes(bytes);
    printf(" %6.1f", all ? 100 * (double)bytes / (double)all : 0);
}

/* ---- the equation ------------------------------------------------------------------------------------------------ */

static void put_thread(const struct heap_thread *thread)
{
    if (!thread->number) {
        puts("unknown");
        return;
    }
    printf(*thread->name ? "%d (" : "%d", thread->number);
    put_name(thread->name);
    puts(*thread->name ? ")" : "");
}

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
        put_bytes(listed[most]);
        printf("                      of thread ");
        put_thread(&view->threads[most]);
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
        put_bytes(others->list[i].bytes);
        printf("                      ");
        put_name(others->list[i].name);
        putchar('\n');
    }
    if (!rest)
        return;
    put_bytes(rest);
    printf("                      %zu more; --all lists them\n", others->count - ROWS);
}

/* What a trim gives back: that, or less. */
struct back {
    uint64_t bytes;
    bool is_most;
};

static void put_back(const struct back *back)
{
    char text[24] = "";

    if (back->bytes)
        snprintf(text, sizeof text, "%s%.*f", back->is_most ? "<" : "", unit->decimals, (double)back->bytes / unit->bytes);
    printf(" %10s  ", text);
}

static void put_row(const struct why *why, size_t n, const struct part_row *row, struct back *sum)
{
    struct back back;

    back.bytes = why_back(why->parts, n, &back.is_most);
    put_amount(why, row->bytes);
    put_back(&back);
    printf("%-47s%s\n", row->words, row->advice);
    sum->bytes += back.bytes;
    sum->is_most |= back.is_most && back.bytes;
}

static uint64_t put_equation(const struct why *why, bool all, struct back *back)
{
    struct part_row row;
    uint64_t sum = 0;

    printf("       %s      %%  trim gives  what it is                                     what brings it down\n", unit->name);
    for (size_t n = 0; heap_parts_row(why->parts, n, &row); n++) {
        sum += row.bytes;
        if (!row.bytes)
            continue;
        put_row(why, n, &row, back);
        if (!strcmp(row.name, "lists"))
            put_threads(why, all);
        else if (!strcmp(row.name, "others"))
            put_others(why, all);
    }
    return sum;
}

static void put_beside(uint64_t bytes, const char *words)
{
    if (!bytes)
        return;
    put_bytes(bytes);
    printf("                    %s\n", words);
}

static void put_sums(const struct why *why, bool all)
{
    const struct other_parts *beyond = &why->parts->beyond;
    struct back back = {0};
    uint64_t sum = put_equation(why, all, &back);

    put_amount(why, sum);
    put_back(&back);
    puts("in all");
    put_amount(why, beyond->resident);
    if (why->view->target.core)
        puts("             pages of the core file that hold anything but zeros: which were resident it does not tell");
    else
        printf("             resident, as the kernel counts it (Rss)%s\n",
               sum == beyond->resident ? "" : ": it changed meanwhile");
    put_beside(why->parts->huge, "of the heap lie in huge pages");
    put_beside(beyond->lazy, "are given back, but counted until the kernel needs them (MADV_FREE)");
    put_beside(beyond->swapped, "are swapped out, and counted nowhere here");
    if (!why->parts->rounding_known)
        printf("Blocks in use are counted with the rounding of their sizes; a profile tells it apart (profile:1%s).\n",
               why->view->target.core ? "" : ", ctl PID profile on");
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

static const struct class_parts *sorting;

static int compare_classes(const void *one, const void *other)
{
    uint64_t a = why_waste(&sorting[*(const unsigned *)one]), b = why_waste(&sorting[*(const unsigned *)other]);

    return (a < b) - (a > b);
}

static void put_class(const struct class_parts *class, size_t bytes)
{
    uint64_t columns[] = {class->live, class->beside, class->holes, class->used - class->live, class->sparse * OS_PAGE};
    uint64_t here = class->used + class->beside + class->holes;

    printf("%10zu %10" PRIu64, bytes, class->blocks - class->listed - class->transit);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        putchar(' ');
        put_bytes(columns[i]);
    }
    printf(" %10.0f%%\n", here ? 100 * (double)class->live / (double)here : 0);
}

static void put_large(const struct large_parts *large)
{
    printf("    larger %10" PRIu64 " ", large->blocks);
    put_bytes(large->heap + large->mapped);
    printf("  of that %.*f in mappings of their own\n", unit->decimals, (double)large->mapped / unit->bytes);
}

static void put_classes(const struct why *why, bool all)
{
    const struct large_parts *large = &why->parts->large;
    unsigned order[CLASS_COUNT], count = 0;

    for (unsigned i = 1; i < CLASS_COUNT; i++) {
        if (why_waste(&why->parts->classes[i]))
            order[count++] = i;
    }
    sorting = why->parts->classes;
    qsort(order, count, sizeof *order, compare_classes);
    if (count || large->blocks)
        printf("\nSize classes by what is not in use (%s): free on pages with blocks, free pages, on lists and between "
               "threads,\npages that are less than a quarter full\n"
               "     bytes     blocks     in use     beside      holes      lists     sparse  in use/all\n", unit->name);
    for (unsigned i = 0; i < count && (all || i < ROWS); i++)
        put_class(&why->parts->classes[order[i]], class_bytes(order[i]));
    if (!all && count > ROWS)
        printf("%u more; --all lists them\n", count - ROWS);
    if (large->blocks)
        put_large(large);
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
    printf("\nCall sites by free memory that their blocks pin (%s, by %" PRIu64 " samples): on pages with blocks, of that on "
           "pages that are\nnearly empty, what is in use\n    pinned     sparse     in use  bytes  call < callers\n",
           unit->name, sites->samples);
    for (size_t i = 0; i < sites->count && (all || i < ROWS); i++) {
        const struct heap_site_part *site = &sites->list[i];

        put_bytes(site->pinned);
        putchar(' ');
        put_bytes(site->sparse);
        putchar(' ');
        put_bytes(site->bytes);
        putchar(' ');
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

    if (why->view->target.core) {
        put_name(why->view->target.core->path);
        fputs(", core file of ", stdout);
    }
    printf("process %d (", why->view->target.number);
    put_name(why->view->counts.process.name);
    puts(why->view->target.core ? "): where the memory in it is" : "): where its resident memory is");
    unit = why->parts->beyond.resident < SMALL_BYTES ? &kib : &mib;
    put_sums(why, all);
    put_classes(why, all);
    put_sites(why, all);
    putchar('\n');
    put_paragraph(advice);
    free(advice);
}
