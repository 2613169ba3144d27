/* SPDX-License-Identifier: MIT */
#include "kit/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/path.h"
#include "kit/readonly.h"
#include "kit/text.h"
#include "kit/thread_names.h"

#define BUFFERS 2 /* one for a finding, one for a fault in the middle of it or another thread's */
#define LINE_ROOM 1024
#define NAME_MOST 64 /* characters of the program's name that are shown */
#define RED "\033[1;31m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"
#define CUT "    ... cut: the report is longer than its buffer\n"
#define END_ROOM (4 * LINE_ROOM) /* kept for what stands behind a cut: the summary, and what would tell more */

extern char **__environ;

static char buffers[BUFFERS][FINDING_ROOM] BIG_TABLE;
static _Atomic bool taken[BUFFERS];

struct place {
    const char *log;               /* NULL or empty: standard error */
    struct os_file standard_error; /* kept of it */
    int open_log;                  /* since the program has shut itself in; -1 before */
};
READONLY_PAGES(struct place, place) = {{NULL, {-1, 0, 0}, -1}};

/* ---- where it goes ----------------------------------------------------------------------------------------------- */

void finding_set_log(const char *log) {
    if (!readonly_open(&place_pages, sizeof place_pages))
        return;
    place_pages.value.log = log;
    readonly_shut(&place_pages, sizeof place_pages);
}

void finding_keep(void) {
    if (!readonly_open(&place_pages, sizeof place_pages))
        return;
    os_file_keep(&place_pages.value.standard_error, STDERR_FILENO);
    readonly_shut(&place_pages, sizeof place_pages);
}

/* What would end a line, or change it on a terminal, is shown as a question mark. */
static void make_plain(char *line, size_t length) {
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
}

/* Not given from the start: a pointer to an empty text would be a page that the loader writes in every process. */
static bool is_given(const char *name) {
    return name != NULL && *name != '\0';
}

int finding_write(const char *text, size_t bytes) {
    int error = os_write(STDERR_FILENO, text, bytes);
    return error == EBADF && place_pages.value.standard_error.fd >= 0 && !os_is_shut_in()
               ? os_file_write(&place_pages.value.standard_error, text, bytes)
               : error;
}

void finding_say(const char *format, va_list arguments) {
    char line[LINE_ROOM];
    size_t length = text_format(line, sizeof line - 1, "myalloc: ");
    length += text_vformat(line + length, sizeof line - 1 - length, format, arguments);
    make_plain(line, length); /* a path from the environment may hold anything; a message is one line */
    line[length++] = '\n';
    finding_write(line, length);
}

static void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    finding_say(format, arguments);
    va_end(arguments);
}

bool finding_symbolize(const char *option, const char *text, size_t bytes, size_t room, struct symbolized *answer) {
    bool done = symbolizer_ask(option, text, bytes, room, answer);
    if (*answer->failure != '\0')
        say("%s", answer->failure);
    return done;
}

/* `path` has the log's path then, or its pattern if that does not fit. */
static int open_log(char path[PATH_ROOM]) {
    if (path_fill(place_pages.value.log, path, PATH_ROOM))
        return os_append(path);
    text_format(path, PATH_ROOM, "%s", place_pages.value.log);
    return -ENAMETOOLONG;
}

void finding_shut_in(void) {
    if (!is_given(place_pages.value.log) || !readonly_open(&place_pages, sizeof place_pages))
        return;
    char path[PATH_ROOM];
    int fd = open_log(path);
    struct os_file kept = {-1, 0, 0};
    if (fd >= 0) {
        os_file_keep(&kept, fd);
        os_close(fd);
    }
    place_pages.value.open_log = kept.fd;
    readonly_shut(&place_pages, sizeof place_pages);
}

/* The log is opened for each finding: a descriptor kept open is one that a program may close or take for its own. Returns 0, or
 * the error's number. */
static int write_to_log(const char *text, size_t bytes, char path[PATH_ROOM]) {
    if (os_is_shut_in()) {
        text_format(path, PATH_ROOM, "%s", place_pages.value.log);
        return place_pages.value.open_log >= 0 ? os_write(place_pages.value.open_log, text, bytes) : EPERM;
    }
    int fd = open_log(path);
    if (fd < 0)
        return -fd;
    int error = os_write(fd, text, bytes);
    os_close(fd);
    return error;
}

static void write_to_place(const char *text, size_t bytes) {
    char path[PATH_ROOM];
    int error = EBADF;
    if (is_given(place_pages.value.log)) {
        error = write_to_log(text, bytes, path);
        if (error != 0)
            say("log: '%s' cannot be written: %s; the report goes to standard error", path, path_error(error));
    }
    if (error != 0)
        finding_write(text, bytes);
}

/* Pieces go as they are: their ends are in the middle of lines. */
static void write_out(struct finding *finding) {
    struct symbolized named;
    if (finding->length == 0)
        return;
    if (finding->buffer >= 0 && finding_symbolize(NULL, finding->out, finding->length, SYMBOLIZER_REPORT, &named)) {
        write_to_place(named.text, named.length);
        symbolizer_drop(&named);
    } else {
        write_to_place(finding->out, finding->length);
    }
    finding->length = 0;
}

/* https://no-color.org: set, and not empty. */
static bool is_coloured(void) {
    const char *no = scan_variable(__environ, "NO_COLOR");
    return !is_given(place_pages.value.log) && (no == NULL || *no == '\0') && os_is_terminal(STDERR_FILENO);
}

/* ---- what it says ------------------------------------------------------------------------------------------------ */

void finding_open(struct finding *finding) {
    finding->buffer = -1;
    finding->out = finding->own;
    finding->room = sizeof finding->own;
    for (int i = 0; i < BUFFERS && finding->buffer < 0; i++)
        if (!atomic_exchange(&taken[i], true)) {
            finding->buffer = i;
            finding->out = buffers[i];
            finding->room = FINDING_ROOM - END_ROOM;
        }
    finding->length = 0;
    finding->cut = false;
    finding->colour = is_coloured();
}

/* Behind the last whole line. */
static void cut(struct finding *finding) {
    finding->cut = true;
    while (finding->length > 0 && finding->out[finding->length - 1] != '\n')
        finding->length--;
}

/* Says so, and goes on in the room that was kept. */
static void end_cut(struct finding *finding) {
    if (!finding->cut)
        return;
    memcpy(finding->out + finding->length, CUT, sizeof CUT - 1);
    finding->length += sizeof CUT - 1;
    finding->room = FINDING_ROOM - sizeof CUT;
    finding->cut = false;
}

static void put(struct finding *finding, const char *text, size_t bytes) {
    for (size_t some; bytes > 0 && !finding->cut; text += some, bytes -= some) {
        some = min_size(bytes, finding->room - finding->length);
        memcpy(finding->out + finding->length, text, some);
        finding->length += some;
        if (finding->length < finding->room)
            continue;
        if (finding->buffer < 0)
            write_out(finding);
        else
            cut(finding);
    }
}

static void put_text(struct finding *finding, const char *text) {
    put(finding, text, strlen(text));
}

static void put_line(struct finding *finding, const char *format, va_list arguments) {
    char line[LINE_ROOM];
    size_t length = text_vformat(line, sizeof line, format, arguments);
    make_plain(line, length);
    put(finding, line, length);
}

static void put_head(struct finding *finding, const char *format, va_list arguments) {
    char head[NAME_MOST + 64], name[NAME_MOST];
    text_format(name, sizeof name, "%s", path_program());
    make_plain(head, text_format(head, sizeof head, "==%d== %s: ", os_process_id(), name));
    put_text(finding, head);
    put_text(finding, finding->colour ? RED "myalloc: " : "myalloc: ");
    put_line(finding, format, arguments);
    put_text(finding, finding->colour ? PLAIN "\n" : "\n");
}

void finding_begin(struct finding *finding, const char *format, ...) {
    finding_open(finding);
    va_list arguments;
    va_start(arguments, format);
    put_head(finding, format, arguments);
    va_end(arguments);
}

void finding_next(struct finding *finding, const char *format, ...) {
    if (finding->length > finding->room / 2)
        write_out(finding);
    va_list arguments;
    va_start(arguments, format);
    put_head(finding, format, arguments);
    va_end(arguments);
}

void finding_line(struct finding *finding, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    put_line(finding, format, arguments);
    va_end(arguments);
    put_text(finding, "\n");
}

void finding_summary(struct finding *finding, const char *format, ...) {
    end_cut(finding);
    put_text(finding, finding->colour ? BOLD "SUMMARY: myalloc: " : "SUMMARY: myalloc: ");
    va_list arguments;
    va_start(arguments, format);
    put_line(finding, format, arguments);
    va_end(arguments);
    put_text(finding, finding->colour ? PLAIN "\n" : "\n");
}

void finding_end(struct finding *finding) {
    end_cut(finding);
    write_out(finding);
    if (finding->buffer >= 0)
        atomic_store(&taken[finding->buffer], false);
}

char *finding_thread(int life, char *out, size_t room) {
    char name[THREAD_NAME_ROOM];
    *out = '\0';
    if (life == 0)
        return out;
    thread_name_find(life, name);
    text_format(out, room, *name != '\0' ? "thread %d (%s)" : "thread %d", thread_number(life), name);
    return out;
}

void finding_forked(void) {
    for (int i = 0; i < BUFFERS; i++)
        atomic_store(&taken[i], false);
}
