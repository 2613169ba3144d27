/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/report.h"
#include "kit/text.h"
#include "observe/stats.h"

#define PATH_ROOM 1024
#define ENOUGH (32 * KIB) /* for lines of all classes with the largest numbers there are */

static void add_limit(struct text *text, size_t limit) {
    if (limit == SIZE_MAX)
        text_add(text, "\"limit\": null,\n");
    else
        text_add(text, "\"limit\": %z,\n", limit);
}

static void add_classes(struct text *text, const struct stats *stats) {
    const char *separator = "";
    text_add(text, "\"classes\": [");
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        const struct stats_class *blocks = &stats->classes[c];
        if (blocks->live + blocks->cached + blocks->home == 0)
            continue;
        text_add(text, "%s\n{\"size\": %z, \"live\": %z, \"cached\": %z, \"home\": %z}", separator, class_bytes(c),
                 blocks->live, blocks->cached, blocks->home);
        separator = ",";
    }
    text_add(text, "]");
}

size_t stats_json(char *out, size_t room) {
    struct stats stats;
    struct text text = {out, room, 0};
    stats_read(&stats);
    text_add(&text, "{\"taken\": %z, \"peak\": %z, ", stats.taken, stats.peak);
    add_limit(&text, stats.limit);
    text_add(&text, "\"live\": %z, \"cached\": %z, \"free\": %z, \"metadata\": %z,\n", stats.live, stats.cached,
             stats.free, stats.metadata);
    text_add(&text, "\"live_blocks\": %z, \"cached_blocks\": %z,\n", stats.live_blocks, stats.cached_blocks);
    text_add(&text, "\"cached_parts\": {\"lists\": %z, \"parked\": %z},\n", stats.listed, stats.parked);
    text_add(&text, "\"free_parts\": {\"home\": %z, \"spans\": %z, \"tails\": %z, \"unused\": %z, \"around\": %z},\n",
             stats.home, stats.free_spans, stats.tails, stats.unused, stats.around);
    text_add(&text, "\"hardened\": {\"bytes\": %z, \"blocks\": %z},\n", stats.hardened, stats.hardened_count);
    text_add(&text, "\"free_spans\": %z, \"free_dirty\": %z, \"top\": %z, \"threads\": %z,\n", stats.free_span_count,
             stats.free_dirty, stats.top, stats.threads);
    text_add(&text, "\"heap\": {\"bytes\": %z, \"peak\": %z, \"large\": %z, \"large_blocks\": %z},\n", stats.heap,
             stats.heap_peak, stats.large, stats.large_count);
    text_add(&text, "\"mapped\": {\"bytes\": %z, \"peak\": %z, \"blocks\": %z, \"blocks_peak\": %z},\n", stats.mapped,
             stats.mapped_peak, stats.mapped_count, stats.mapped_count_peak);
    text_add(&text, "\"guarded\": {\"bytes\": %z, \"blocks\": %z, \"samples\": %z},\n", stats.guarded,
             stats.guarded_count, stats.samples);
    add_classes(&text, &stats);
    text_add(&text, "}\n");
    if (room > 0)
        out[min_size(text.length, room - 1)] = '\0';
    return text.length;
}

/* ---- at exit ----------------------------------------------------------------------------------------------------- */

static int write_to(int fd) {
    static char text[ENOUGH] BIG_TABLE; /* only at exit, by one thread */
    size_t length = stats_json(text, sizeof text);
    return os_write(fd, text, min_size(length, sizeof text - 1));
}

/* The path with %p as the process id and %% as a percent sign. */
static void expand(const char *pattern, char *out, size_t room) {
    size_t at = 0;
    for (; *pattern != '\0' && at + 1 < room; pattern++) {
        if (pattern[0] == '%' && pattern[1] == 'p') {
            at += text_format(out + at, room - at, "%d", os_process_id());
            pattern++;
        } else {
            pattern += pattern[0] == '%' && pattern[1] == '%';
            out[at++] = *pattern;
        }
    }
    out[at] = '\0';
}

/* The descriptor that the text names, -1 if it is not a number. */
static int descriptor(const char *text) {
    size_t number;
    if (text[strspn(text, "0123456789")] != '\0')
        return -1;
    scan_number(text, SIZE_MAX, 10, &number);
    return (int)min_size(number, INT_MAX);
}

void stats_write(const char *where) {
    char path[PATH_ROOM];
    if (where[0] == '\0' || (where[0] == '0' && where[1] == '\0'))
        return;
    int fd = descriptor(where);
    if (fd >= 0) {
        int error = write_to(fd == 1 ? STDERR_FILENO : fd);
        if (error != 0)
            report_line("stats: file descriptor %s cannot be written: %s", where, os_error_text(error));
        return;
    }
    expand(where, path, sizeof path);
    fd = os_create(path);
    if (fd < 0) {
        report_line("stats: the file %s cannot be written", path);
        return;
    }
    int error = write_to(fd);
    if (error != 0)
        report_line("stats: the file %s cannot be written: %s", path, os_error_text(error));
    os_close(fd);
}
