/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/finding.h"
#include "kit/path.h"
#include "kit/report.h"
#include "kit/text.h"
#include "observe/resident.h"
#include "observe/stats.h"

#define ENOUGH (32 * KIB) /* for lines of all classes with the largest numbers there are */

static const struct row {
    char group[16], key[16]; /* no pointers: they would be relocated at each start of a program */
    size_t offset;           /* in struct stats */
} rows[] = {
#define STATISTIC(name, group, key) {group, key, offsetof(struct stats, name)},
#include "observe/statistics.def"
#undef STATISTIC
};

static void add_number(struct text *text, const char *separator, const char *key, size_t number) {
    if (number == SIZE_MAX)
        text_add(text, "%s\"%s\": null", separator, key);
    else
        text_add(text, "%s\"%s\": %z", separator, key, number);
}

/* The rows, a line a group. */
static void add_rows(struct text *text, const struct stats *stats) {
    const char *group = "", *separator = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        size_t number;
        if (row->key[0] == '\0')
            continue;
        if (strcmp(row->group, group) != 0) {
            text_add(text, "%s,\n\"%s\": {", *group != '\0' ? "}" : "", row->group);
            group = row->group;
            separator = "";
        }
        memcpy(&number, (const char *)stats + row->offset, sizeof number);
        add_number(text, separator, row->key, number);
        separator = ", ";
    }
    text_add(text, "},\n");
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

/* With a table for people before it, if that is wanted. */
static void add_all(struct text *text, bool table) {
    struct stats stats;
    struct resident resident;
    stats_read(&stats);
    resident_read(&resident, &stats);
    if (table)
        resident_add_table(text, &resident);
    text_add(text, "{");
    add_rows(text, &stats);
    resident_add_json(text, &resident);
    add_classes(text, &stats);
    text_add(text, "}\n");
    if (text->room > 0)
        text->out[min_size(text->length, text->room - 1)] = '\0';
}

size_t stats_json(char *out, size_t room) {
    struct text text = {out, room, 0};
    add_all(&text, false);
    return text.length;
}

/* ---- at exit ----------------------------------------------------------------------------------------------------- */

static int write_to(int fd, bool table) {
    static char room[ENOUGH] BIG_TABLE; /* only at exit, by one thread */
    struct text text = {room, sizeof room, 0};
    add_all(&text, table);
    size_t length = min_size(text.length, sizeof room - 1);
    return fd == STDERR_FILENO ? finding_write(room, length) : os_write(fd, room, length);
}

/* The file descriptor that the text is the number of, -1 if it is no number. */
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
        int error = write_to(fd == 1 ? STDERR_FILENO : fd, fd == 1);
        if (error != 0)
            report_line("stats: file descriptor %s cannot be written: %s", where, path_error(error));
        return;
    }
    bool fits = path_fill(where, path, sizeof path);
    fd = fits ? os_create(path) : -ENAMETOOLONG;
    if (fd < 0) {
        report_line("stats: the file %s cannot be written: %s", fits ? path : where, path_error(-fd));
        return;
    }
    int error = write_to(fd, false);
    if (error != 0)
        report_line("stats: the file %s cannot be written: %s", path, path_error(error));
    os_close(fd);
}
