/* SPDX-License-Identifier: MIT */
#include "top_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the columns of the table ------------------------------------------------------------------------------------ */

static char *show_number(char *out, const struct watched *watched)
{
    snprintf(out, FIGURE_BYTES, "%d", watched->counts.process.number);
    return out;
}

static char *show_resident(char *out, const struct watched *watched)
{
    return figure_bytes(out, (double)watched->counts.process.resident);
}

static char *show_live(char *out, const struct watched *watched)
{
    return figure_bytes(out, (double)watched->sums.live);
}

static char *show_live_rate(char *out, const struct watched *watched)
{
    return figure_change(out, watched->rates.live, watched->has_rates);
}

static char *show_free(char *out, const struct watched *watched)
{
    return figure_bytes(out, (double)watched->counts.numbers[PAGE_AT_free_spans]);
}

static char *show_dirty(char *out, const struct watched *watched)
{
    return figure_bytes(out, (double)watched->counts.numbers[PAGE_AT_free_dirty]);
}

static char *show_holes(char *out, const struct watched *watched)
{
    return figure_bytes(out, (double)watched->sums.holes);
}

static char *show_taken(char *out, const struct watched *watched)
{
    return figure_bytes(out, (double)watched->counts.numbers[PAGE_AT_taken]);
}

static char *show_threads(char *out, const struct watched *watched)
{
    return figure_count(out, (double)watched->counts.process.threads);
}

static char *show_faults(char *out, const struct watched *watched)
{
    return figure_rate(out, watched->rates.minor_faults + watched->rates.major_faults, watched->has_rates);
}

/* `least`: the fewest columns of a terminal that shows it. In 60 columns 12 are left for the name. */
static const struct {
    const char *title;
    int width;
    size_t least;
    char *(*show)(char *out, const struct watched *watched);
} columns[] = {
    {"PID", 7, 0, show_number},      {"RSS", 5, 0, show_resident}, {"LIVE", 5, 0, show_live},
    {"LIVE/s", 6, 0, show_live_rate}, {"DIRTY", 5, 0, show_dirty},  {"THR", 4, 0, show_threads},
    {"FLT/s", 5, 0, show_faults},    {"FREE", 5, 72, show_free},   {"HOLES", 5, 72, show_holes},
    {"TAKEN", 5, 80, show_taken},
};
enum { EVENTS_PART = 5 }; /* of the rows of a terminal, the most that tell what happened to processes */
enum { COLUMNS = sizeof columns / sizeof *columns, PICTURE_LEAST = 100, PICTURE = 20 };

/* ---- order ------------------------------------------------------------------------------------------------------- */

const char *const top_orders[] = {"RSS", "LIVE", "LIVE/s", "DIRTY", "FLT/s", "PID", NULL};

static double weight(const struct watched *watched, size_t order)
{
    switch (order) {
    case 0: return (double)watched->counts.process.resident;
    case 1: return (double)watched->sums.live;
    case 2: return watched->rates.live;
    case 3: return (double)watched->counts.numbers[PAGE_AT_free_dirty];
    case 4: return watched->rates.minor_faults + watched->rates.major_faults;
    default: return 0;
    }
}

static int compare(const void *left, const void *right, void *data)
{
    const struct watched *a = *(struct watched *const *)left, *b = *(struct watched *const *)right;
    double by_a = weight(a, *(size_t *)data), by_b = weight(b, *(size_t *)data);

    if (by_a < by_b || by_a > by_b)
        return by_a > by_b ? -1 : 1;
    return a->counts.process.number - b->counts.process.number;
}

void top_sort(struct watch *watch, size_t order)
{
    if (watch->count)
        qsort_r(watch->all, watch->count, sizeof *watch->all, compare, &order);
}

/* ---- all processes ------------------------------------------------------------------------------------------------- */

char *top_name(char out[64], const char name[64])
{
    size_t i = 0;

    for (; name[i]; i++)
        out[i] = name[i] < 0x20 || name[i] > 0x7e ? '?' : name[i];
    out[i] = '\0';
    return out;
}

/* The start of a line: the columns that fit; `watched` NULL for their titles. Returns the length. */
static int add_columns(char *line, size_t room, const struct watched *watched, size_t wide)
{
    int length = 0;

    for (size_t i = 0; i < COLUMNS; i++) {
        char figure[FIGURE_BYTES];

        if (wide >= columns[i].least)
            length += snprintf(line + length, room - (size_t)length, "%*s ", columns[i].width,
                               watched ? columns[i].show(figure, watched) : columns[i].title);
    }
    return length;
}

static void add_row(struct sheet *sheet, const struct watched *watched, bool chosen)
{
    char line[LINE_BYTES], name[64], picture[3 * PICTURE + 1];
    int length = add_columns(line, sizeof line, watched, sheet->columns);

    if (sheet->columns >= PICTURE_LEAST) {
        size_t cells = watched->seconds < PICTURE ? watched->seconds : PICTURE;

        sheet_spark(sheet, picture, watched->minute + MINUTE - watched->seconds, watched->seconds, PICTURE);
        length += snprintf(line + length, sizeof line - (size_t)length, "%*s%s ", PICTURE - (int)cells, "", picture);
    }
    sheet_add(sheet, chosen ? STYLE_CHOSEN : STYLE_PLAIN, "%.400s%s%s", line, top_name(name, watched->counts.process.name),
              watched->gone ? " (gone)" : "");
}

static void add_sums(struct sheet *sheet, const struct watch *watch, size_t order)
{
    char resident[FIGURE_BYTES], live[FIGURE_BYTES];
    double sum_resident = 0, sum_live = 0;

    for (size_t i = 0; i < watch->count; i++) {
        sum_resident += (double)watch->all[i]->counts.process.resident;
        sum_live += (double)watch->all[i]->sums.live;
    }
    sheet_add(sheet, STYLE_HEAD, "myalloc top: %zu process%s, RSS %s, live %s, by %s", watch->count,
              watch->count == 1 ? "" : "es", figure_bytes(resident, sum_resident), figure_bytes(live, sum_live),
              top_orders[order]);
}

void top_text_events(struct sheet *sheet, const struct events *events, size_t most)
{
    for (size_t i = 0; i < events->count && i < most; i++) {
        const struct event *event = &events->list[i];
        char name[64];

        sheet_add(sheet, STYLE_TELL, "process %d (%s) %s", event->number, top_name(name, event->name), event->what);
    }
    if (events->count > most)
        sheet_add(sheet, STYLE_TELL, "and so on: %zu more that ended or began another program", events->count - most);
}

static void add_unread(struct sheet *sheet, const struct watch *watch)
{
    if (watch->forbidden)
        sheet_add(sheet, STYLE_TELL, "%u may not be read: be their user, or root (sudo); where "
                  "/proc/sys/kernel/yama/ptrace_scope is not 0, root", watch->forbidden);
    if (watch->others)
        sheet_add(sheet, STYLE_TELL, "%u have numbers that this command cannot read: use that of their library", watch->others);
}

void top_text_all(struct sheet *sheet, const struct watch *watch, size_t order, int chosen, size_t rows)
{
    char line[LINE_BYTES];
    size_t start = sheet->count, first = 0, fit = watch->count;

    add_sums(sheet, watch, order);
    top_text_events(sheet, &watch->events, rows ? rows / EVENTS_PART : WATCH_EVENTS);
    add_unread(sheet, watch);
    add_columns(line, sizeof line, NULL, sheet->columns);
    sheet_add(sheet, STYLE_HEAD, "%.400s%*s", line, sheet->columns >= PICTURE_LEAST ? PICTURE + 5 : 4,
              sheet->columns >= PICTURE_LEAST ? "RSS, A MINUTE   NAME" : "NAME");
    if (rows)
        fit = rows > sheet->count - start ? rows - (sheet->count - start) : 0;
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->all[i]->counts.process.number == chosen && i >= fit)
            first = i - fit + 1;
    }
    for (size_t i = first; i < watch->count && i - first < fit; i++)
        add_row(sheet, watch->all[i], watch->all[i]->counts.process.number == chosen);
}

/* ---- one process --------------------------------------------------------------------------------------------------- */

static const char *state_name(char state)
{
    static const struct {
        char letter;
        const char *name;
    } names[] = {{'R', "running"}, {'S', "sleeping"}, {'D', "waiting"}, {'T', "stopped"}, {'t', "traced"}, {'I', "idle"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].letter == state)
            return names[i].name;
    }
    return "ended";
}

static void add_process(struct sheet *sheet, const struct watched *watched)
{
    const struct process *process = &watched->counts.process;
    char a[FIGURE_BYTES], b[FIGURE_BYTES], c[FIGURE_BYTES], d[FIGURE_BYTES], e[FIGURE_BYTES], name[64];
    char picture[3 * MINUTE + 1];

    sheet_add(sheet, STYLE_HEAD, "%d %s, %s, %llu thread%s, %" PRIu64 " with lists", process->number,
              top_name(name, process->name), watched->gone ? "gone" : state_name(process->state),
              process->threads, process->threads == 1 ? "" : "s", watched->counts.numbers[PAGE_AT_threads]);
    sheet_add(sheet, STYLE_PLAIN, "RSS    %5s  %6s/s  most %s  faults %s/s, from disk %s/s",
              figure_bytes(a, (double)process->resident), figure_change(b, watched->rates.resident, watched->has_rates),
              figure_bytes(c, 1024 * (double)process_status(process->number, "VmHWM")),
              figure_rate(d, watched->rates.minor_faults, watched->has_rates),
              figure_rate(e, watched->rates.major_faults, watched->has_rates));
    sheet_spark(sheet, picture, watched->minute + MINUTE - watched->seconds, watched->seconds,
                sheet->columns < MINUTE + 7 ? sheet->columns - 7 : MINUTE);
    sheet_add(sheet, STYLE_PLAIN, "minute %s", picture);
}

static void add_heap(struct sheet *sheet, const struct watched *watched)
{
    const uint64_t *numbers = watched->counts.numbers;
    char a[FIGURE_BYTES], b[FIGURE_BYTES], c[FIGURE_BYTES], d[FIGURE_BYTES], e[FIGURE_BYTES], f[FIGURE_BYTES], g[FIGURE_BYTES];

    sheet_add(sheet, STYLE_PLAIN, "live   %5s  %6s/s  small %s  large %s (%s)  mapped %s (%s)",
              figure_bytes(a, (double)watched->sums.live), figure_change(b, watched->rates.live, watched->has_rates),
              figure_bytes(c, (double)watched->sums.small), figure_bytes(d, (double)numbers[PAGE_AT_large_blocks]),
              figure_count(e, (double)numbers[PAGE_AT_large_count]), figure_bytes(f, (double)numbers[PAGE_AT_mapped]),
              figure_count(g, (double)numbers[PAGE_AT_mapped_count]));
    sheet_add(sheet, STYLE_PLAIN, "taken  %5s  %6s/s  most %s  tables %s  limit %s",
              figure_bytes(a, (double)numbers[PAGE_AT_taken]), figure_change(b, watched->rates.taken, watched->has_rates),
              figure_bytes(c, (double)numbers[PAGE_AT_taken_peak]), figure_bytes(d, (double)numbers[PAGE_AT_metadata]),
              sums_has_limit(&watched->counts) ? figure_bytes(e, (double)numbers[PAGE_AT_limit]) : "none");
    sheet_add(sheet, STYLE_PLAIN, "free   %5s  of it dirty %s  holes in small spans %s",
              figure_bytes(a, (double)numbers[PAGE_AT_free_spans]), figure_bytes(b, (double)numbers[PAGE_AT_free_dirty]),
              figure_bytes(c, (double)watched->sums.holes));
}

/* The classes, those with the most memory first. */
static int compare_memory(const void *left, const void *right, void *data)
{
    const uint64_t *memory = data;
    uint64_t a = memory[*(const size_t *)left], b = memory[*(const size_t *)right];

    return a > b ? -1 : a < b;
}

static void add_classes(struct sheet *sheet, const struct watched *watched, size_t fit)
{
    const struct counts *counts = &watched->counts;
    uint64_t memory[COUNTS_CLASSES];
    size_t order[COUNTS_CLASSES];

    sums_of_classes(counts, memory);
    for (size_t i = 0; i < counts->classes; i++)
        order[i] = i;
    qsort_r(order, counts->classes, sizeof *order, compare_memory, memory);
    sheet_add(sheet, STYLE_HEAD, " SIZE BLOCKS      /s  SPANS MEMORY FULL");
    for (size_t i = 0; i < counts->classes && i < fit; i++) {
        size_t c = order[i];
        char a[FIGURE_BYTES], b[FIGURE_BYTES], d[FIGURE_BYTES], e[FIGURE_BYTES], bar[3 * 20 + 1];
        double full = memory[c] ? (double)(counts->class[c].size * counts->class[c].blocks) / (double)memory[c] : 0;

        full = full > 1 ? 1 : full;
        sheet_bar(sheet, bar, full, 20);
        sheet_add(sheet, STYLE_PLAIN, "%5" PRIu64 " %6s %7s %6s %6s %3.0f%% %s", counts->class[c].size,
                  figure_count(a, (double)counts->class[c].blocks), figure_rate(b, watched->class_rates[c], watched->has_rates),
                  figure_count(d, (double)counts->class[c].spans), figure_bytes(e, (double)memory[c]), 100 * full, bar);
    }
}

void top_text_one(struct sheet *sheet, const struct watched *watched, size_t rows)
{
    size_t used = sheet->count;

    add_process(sheet, watched);
    add_heap(sheet, watched);
    used = sheet->count - used + 1;
    add_classes(sheet, watched, !rows ? COUNTS_CLASSES : rows > used ? rows - used : 0);
}
