/* SPDX-License-Identifier: MIT */
/* glibc's questions and orders to its malloc, answered from stats.h: glibc manual, "Statistics for Memory
 * Allocation with malloc" and "Malloc Tunable Parameters". */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "base/glibc.h"
#include "base/myalloc.h"
#include "base/sizeclass.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/environment.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"
#include "heap/aside.h"
#include "heap/decay.h"
#include "heap/mapped.h"
#include "heap/cache_bound.h"
#include "heap/mode_switch.h"
#include "observe/profile.h"
#include "observe/profile_text.h"
#include "observe/tags.h"
#include "observe/resident.h"
#include "observe/stats.h"
#include "observe/trace.h"
#include "process/background.h"
#include "process/mode_start.h"
#include "api/front.h"

EXPORT int mallopt(int parameter, int value) {
    if (modes_has(MODE_START)) /* before anything is set by hand */
        mode_start();
    if (aside_is_on() || !mapped_mallopt(parameter, value))
        return 0;
    if (parameter == M_PERTURB && tunables.perturb != 0)
        mode_switch_on(MODE_PERTURB);
    else if (parameter == M_PERTURB)
        mode_switch_off(MODE_PERTURB);
    if (parameter == M_MYALLOC_DECAY_MS || parameter == M_TRIM_THRESHOLD)
        decay_changed();
    if (parameter == M_MYALLOC_CACHE_LIMIT)
        cache_bound_now();
    if (parameter == M_MYALLOC_BACKGROUND)
        background_settle();
    return 1;
}

EXPORT struct mallinfo2 mallinfo2(void) {
    struct stats stats;
    stats_read(&stats);
    size_t in_use = stats.live - stats.mapped, heap = stats.heap + stats.guarded; /* guarded pages are part of the heap */
    return (struct mallinfo2){
        .arena = heap,
        .ordblks = stats.home_blocks + stats.free_span_count,
        .smblks = stats.cached_blocks,
        .hblks = stats.mapped_count,
        .hblkhd = stats.mapped,
        .fsmblks = stats.cached,
        .uordblks = in_use,
        .fordblks = heap > in_use ? heap - in_use : 0, /* other threads may have changed one since */
        .keepcost = stats.top,
    };
}

static int as_int(size_t n) {
    return n > INT_MAX ? INT_MAX : (int)n;
}

/* The fields of the old structure are int: what does not fit is INT_MAX, not a remainder. */
EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 info = mallinfo2();
    return (struct mallinfo){
        .arena = as_int(info.arena),
        .ordblks = as_int(info.ordblks),
        .smblks = as_int(info.smblks),
        .hblks = as_int(info.hblks),
        .hblkhd = as_int(info.hblkhd),
        .fsmblks = as_int(info.fsmblks),
        .uordblks = as_int(info.uordblks),
        .fordblks = as_int(info.fordblks),
        .keepcost = as_int(info.keepcost),
    };
}

/* One line of malloc_stats, laid out as glibc does. */
static size_t stats_line(char *out, size_t room, const char *name, size_t number) {
    char digits[24];
    static const char blanks[] = "          ";
    size_t length = text_format(digits, sizeof digits, "%z", number);
    return text_format(out, room, "%s = %s%s\n", name, blanks + min_size(length, sizeof blanks - 1), digits);
}

/* The heap is one arena to glibc's eyes, whatever regions it is made of. */
EXPORT void malloc_stats(void) {
    struct stats stats;
    char text[512];
    stats_read(&stats);
    size_t at = text_format(text, sizeof text, "Arena 0:\n");
    at += stats_line(text + at, sizeof text - at, "system bytes    ", stats.heap + stats.guarded);
    at += stats_line(text + at, sizeof text - at, "in use bytes    ", stats.live - stats.mapped);
    at += text_format(text + at, sizeof text - at, "Total (incl. mmap):\n");
    at += stats_line(text + at, sizeof text - at, "system bytes    ", stats.heap + stats.mapped + stats.guarded);
    at += stats_line(text + at, sizeof text - at, "in use bytes    ", stats.live);
    at += stats_line(text + at, sizeof text - at, "max mmap regions", stats.mapped_count_peak);
    at += stats_line(text + at, sizeof text - at, "max mmap bytes  ", stats.mapped_peak);
    os_write(STDERR_FILENO, text, at);
}

/* Free blocks of each class; a block of the class can be asked for by any size from `from` to `to`. */
static void info_sizes(FILE *stream, const struct stats *stats) {
    fputs("<sizes>\n", stream);
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        size_t count = stats->classes[c].cached + stats->classes[c].home;
        if (count > 0)
            fprintf(stream, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n", class_bytes(c - 1) + 1,
                    class_bytes(c), count * class_bytes(c), count);
    }
    fputs("</sizes>\n", stream);
}

/* What the heap and the whole have in common. "rest" is all that is free, but on fast lists. */
static void info_totals(FILE *stream, const struct stats *stats) {
    fprintf(stream,
            "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n",
            stats->cached_blocks, stats->cached, stats->home_blocks + stats->free_span_count, stats->free);
}

static void info_system(FILE *stream, size_t current, size_t most) {
    fprintf(stream,
            "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n"
            "<aspace type=\"total\" size=\"%zu\"/>\n<aspace type=\"mprotect\" size=\"%zu\"/>\n",
            current, most, current, current);
}

/* What glibc's has not: where the resident memory of the process is, and what malloc_trim(0) would give back of it. */
static void info_resident(FILE *stream, const struct resident *resident) {
    const char *name;
    size_t bytes;
    for (size_t n = 0; (name = resident_part(resident, n, &bytes)) != NULL; n++)
        fprintf(stream, "<resident type=\"%s\" size=\"%zu\"/>\n", name, bytes);
    fprintf(stream, "<resident type=\"total\" size=\"%zu\"/>\n<returned size=\"%zu\"/>\n<trim size=\"%zu\"/>\n",
            resident->total + resident->others, resident->returned, resident->trim);
}

EXPORT int malloc_info(int options, FILE *stream) {
    struct stats stats;
    struct resident resident;
    if (options != 0)
        return EINVAL;
    stats_read(&stats); /* before stdio allocates a buffer */
    resident_read(&resident, &stats);
    fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n", stream);
    info_sizes(stream, &stats);
    info_totals(stream, &stats);
    info_system(stream, stats.heap, stats.heap_peak);
    fputs("</heap>\n", stream);
    info_totals(stream, &stats);
    fprintf(stream, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", stats.mapped_count, stats.mapped);
    if (stats.samples > 0)
        fprintf(stream, "<total type=\"guarded\" count=\"%zu\" size=\"%zu\"/>\n", stats.guarded_count, stats.guarded);
    info_system(stream, stats.heap + stats.mapped + stats.guarded, stats.peak);
    info_resident(stream, &resident);
    fputs("</malloc>\n", stream);
    return 0;
}

EXPORT void mtrace(void) {
    trace_start();
}

EXPORT void muntrace(void) {
    trace_stop();
}

EXPORT size_t myalloc_stats_json(char *out, size_t room) {
    return stats_json(out, room);
}

EXPORT int myalloc_profile_start(size_t interval) {
    if (aside_is_on())
        return -1;
    if (modes_has(MODE_START)) /* what the environment asks for is done before */
        mode_start();
    profile_on(min_size(max_size(interval != 0 ? interval : tunables.profile_interval, 1), PROFILE_INTERVAL_MOST),
               tunables.profile_seed);
    return 0;
}

EXPORT void myalloc_profile_stop(void) {
    if (!aside_is_on())
        profile_off();
}

EXPORT int myalloc_profile_write(const char *path) {
    int error = aside_is_on() ? EBUSY : profile_write(path);
    if (error != 0)
        errno = error;
    return error != 0 ? -1 : 0;
}

EXPORT void myalloc_tag(const char *tag) {
    tags_set(tag);
}

EXPORT const char *myalloc_tag_now(void) {
    return tags_word(tags_current());
}

/* 1 also where only addresses went, whose memory had gone before: so does glibc when the break goes down. */
EXPORT int malloc_trim(size_t pad) {
    environment_read();
    size_t taken = budget_taken();
    return front_trim(pad) > 0 || budget_taken() < taken;
}
