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
    const char *log, *symbolizer;  /* NULL or empty: standard error, none */
    struct os_file standard_error; /* kept of it */
    int open_log;                  /* since the program has shut itself in; -1 before */
};
READONLY_PAGES(struct place, place) = {{NULL, NULL, {-1, 0, 0}, -1}};

/* ---- where it goes ----------------------------------------------------------------------------------------------- */

void finding_set_place(const char *log, const char *symbolizer) {
    if (!readonly_open(&place_pages, sizeof place_pages))
        return;
    place_pages.value.log = log;
    place_pages.value.symbolizer = symbolizer;
    readonly_shut(&place_pages, sizeof place_pages);
}

void finding_keep(void) {
    if (!readonly_open(&place_pages, sizeof place_pages))
        return;
    os_file_keep(&place_pages.value.standard_error, STDERR_FILENO);
    readonly_shut(&place_pages, sizeof place_pages);
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

/* The variables that a symbolizer needs: where the user's files are, and where debug information may be asked for. */
static void choose_variables(const char **chosen, size_t most) {
    static const char *const names[] = {"PATH=", "HOME=", "XDG_CACHE_HOME=", "DEBUGINFOD_URLS=", "DEBUGINFOD_CACHE_PATH="};
    size_t count = 0;
    for (char **variable = __environ; variable != NULL && *variable != NULL; variable++)
        for (size_t i = 0; i < sizeof names / sizeof *names && count + 1 < most; i++)
            if (strncmp(*variable, names[i], strlen(names[i])) == 0)
                chosen[count++] = *variable;
    chosen[count] = NULL;
}

static bool ask_symbolizer(const char *option, const char *text, size_t bytes, int fd) {
    char symbolizer[PATH_ROOM];
    const char *const arguments[] = {symbolizer, "symbolize", option, NULL}, *variables[8];
    if (!finding_has_symbolizer() || !path_from_start(place_pages.value.symbolizer, symbolizer, sizeof symbolizer))
        return false;
    choose_variables(variables, sizeof variables / sizeof *variables);
    return os_filter(arguments, variables, text, bytes, fd);
}

bool finding_has_symbolizer(void) {
    return is_given(place_pages.value.symbolizer);
}

bool finding_symbolize(const char *text, size_t bytes, int out) {
    return ask_symbolizer("--paths", text, bytes, out);
}

static void write_to_stderr(const char *text, size_t bytes) {
    if (!ask_symbolizer(NULL, text, bytes, STDERR_FILENO))
        finding_write(text, bytes);
}

static int open_log(void) {
    char path[PATH_ROOM];
    return path_fill(place_pages.value.log, path, sizeof path) ? os_append(path) : -1;
}

void finding_shut_in(void) {
    if (!is_given(place_pages.value.log) || !readonly_open(&place_pages, sizeof place_pages))
        return;
    int fd = open_log();
    struct os_file kept = {-1, 0, 0};
    if (fd >= 0) {
        os_file_keep(&kept, fd);
        os_close(fd);
    }
    place_pages.value.open_log = kept.fd;
    readonly_shut(&place_pages, sizeof place_pages);
}

/* The log is opened for each finding: a descriptor kept open is one that a program may close or take for its own. */
static bool write_to_log(const char *text, size_t bytes) {
    if (os_is_shut_in())
        return place_pages.value.open_log >= 0 && os_write(place_pages.value.open_log, text, bytes) == 0;
    int fd = open_log();
    if (fd < 0)
        return false;
    int error = ask_symbolizer(NULL, text, bytes, fd) ? 0 : os_write(fd, text, bytes);
    os_close(fd);
    return error == 0;
}

static void write_out(struct finding *finding) {
    static const char refused[] = "myalloc: log: the file cannot be written; this goes to standard error\n";
    if (finding->length == 0)
        return;
    if (!is_given(place_pages.value.log)) {
        write_to_stderr(finding->out, finding->length);
    } else if (!write_to_log(finding->out, finding->length)) {
        finding_write(refused, sizeof refused - 1);
        write_to_stderr(finding->out, finding->length);
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
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    put(finding, line, length);
}

static void put_head(struct finding *finding, const char *format, va_list arguments) {
    char head[NAME_MOST + 64], name[NAME_MOST];
    text_format(name, sizeof name, "%s", path_program());
    text_format(head, sizeof head, "==%d== %s: ", os_process_id(), name);
    for (char *c = head; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
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
