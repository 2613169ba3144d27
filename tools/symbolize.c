/* SPDX-License-Identifier: MIT */
/* `myalloc symbolize`: a filter. Frames as the library writes them, FUNCTION+0x1a (MODULE+0x11a2) (BuildId: 5f3a...), become
   FUNCTION FILE:LINE; all else passes through. What has come in is written at once, when the input ends or would have to wait,
   so that a report that came in one piece leaves in one. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "frames.h"
#include "libdw.h"
#include "message.h"

#define OUTPUT_MOST (1u << 20)

#define INPUT_MOST (1 << 17)

static char input[INPUT_MOST]; /* a line that is longer is cut in two */
static size_t input_length;
static char output[OUTPUT_MOST];
static size_t output_length;

static bool flush(void)
{
    for (size_t at = 0; at < output_length;) {
        ssize_t done = write(STDOUT_FILENO, output + at, output_length - at);
        if (done < 0 && errno != EINTR)
            return false;
        at += done > 0 ? (size_t)done : 0;
    }
    output_length = 0;
    return true;
}

static void put(const char *text, size_t length)
{
    if (output_length + length > sizeof output)
        flush();
    if (length > sizeof output)
        length = sizeof output;
    memcpy(output + output_length, text, length);
    output_length += length;
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

/* The last "(MODULE+0xOFFSET)" of a line, taken apart. */
struct raw {
    const char *open, *close; /* the brackets */
    char module[4096];
    uint64_t offset;
    char build_id[65];
    const char *end; /* behind it and its build-id */
};

static void read_build_id(struct raw *raw)
{
    static const char start[] = " (BuildId: ";
    size_t length;

    *raw->build_id = '\0';
    raw->end = raw->close + 1;
    if (strncmp(raw->end, start, sizeof start - 1))
        return;
    length = strspn(raw->end + sizeof start - 1, "0123456789abcdef");
    if (length >= sizeof raw->build_id || raw->end[sizeof start - 1 + length] != ')')
        return;
    memcpy(raw->build_id, raw->end + sizeof start - 1, length);
    raw->build_id[length] = '\0';
    raw->end += sizeof start + length;
}

static bool read_raw(const char *line, struct raw *raw)
{
    const char *plus = NULL, *next;
    char *end;

    for (next = line; (next = strstr(next, "+0x")) != NULL; next++) {
        strtoull(next + 3, &end, 16);
        if (*end == ')')
            plus = next;
    }
    if (!plus)
        return false;
    raw->offset = strtoull(plus + 3, &end, 16);
    raw->close = end;
    for (raw->open = plus; raw->open > line && !(raw->open[-1] == ' ' && raw->open[0] == '('); raw->open--)
        ;
    if (raw->open == line || (size_t)(plus - raw->open - 1) >= sizeof raw->module)
        return false;
    memcpy(raw->module, raw->open + 1, (size_t)(plus - raw->open - 1));
    raw->module[plus - raw->open - 1] = '\0';
    read_build_id(raw);
    return true;
}

/* The function that the library named before the bracket: the start of its name, or NULL. */
static const char *name_before(const char *line, const struct raw *raw, size_t *length)
{
    const char *end = raw->open - 1, *start = end;

    while (start > line && start[-1] != ' ')
        start--;
    *length = 0;
    while (start + *length < end && strncmp(start + *length, "+0x", 3))
        (*length)++;
    return start + *length < end ? start : NULL;
}

static void put_frame(const struct frame *frame, const struct raw *raw)
{
    char text[sizeof frame->function + sizeof raw->module + 64];

    if (*frame->file)
        snprintf(text, sizeof text, "%s %s:%d", *frame->function ? frame->function : "??", frame->file, frame->line);
    else
        snprintf(text, sizeof text, "%s (%s+0x%llx)", *frame->function ? frame->function : "??", raw->module,
                 (unsigned long long)raw->offset);
    put_text(text);
}

/* A frame whose module has no debug information keeps its place, and its name is demangled. */
static void put_unknown(const char *line, const struct raw *raw, const char *name, size_t length)
{
    char mangled[1024], text[4096];

    if (!name || length >= sizeof mangled) {
        put(line, (size_t)(raw->close + 1 - line));
        return;
    }
    memcpy(mangled, name, length);
    mangled[length] = '\0';
    frames_demangle(mangled, text, sizeof text);
    put(line, (size_t)(name - line));
    put_text(text);
    put(name + length, (size_t)(raw->close + 1 - name - length));
}

static void put_line(const char *line)
{
    static struct frame frames[FRAMES_MOST];
    struct raw raw;
    const char *start, *name;
    size_t length, indent = strspn(line, " ");
    int count;

    if (!read_raw(line, &raw)) {
        put_text(line);
        return;
    }
    name = name_before(line, &raw, &length);
    start = name ? name : raw.open;
    count = frames_find(raw.module, raw.offset, *raw.build_id ? raw.build_id : NULL, frames);
    if (!count) {
        put_unknown(line, &raw, name, length);
    } else {
        put(line, (size_t)(start - line));
        put_frame(&frames[0], &raw);
    }
    put_text(count ? raw.end : raw.close + 1); /* a module that is not known here keeps its build-id */
    for (int i = 1; i < count && line[indent] == '#'; i++) { /* those that it was inlined into, one below the other */
        put_text("\n");
        put(line, indent);
        put_text("   inlined into ");
        put_frame(&frames[i], &raw);
    }
}

static bool more_waits(void)
{
    struct pollfd waits = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&waits, 1, 0) > 0;
}

/* Takes the whole lines off the input; with `all`, what is behind the last newline, too. */
static void put_lines(bool all)
{
    char *line = input, *end = input + input_length, *newline;

    while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        *newline = '\0';
        put_line(line);
        put_text("\n");
        line = newline + 1;
    }
    if ((all || end - line == INPUT_MOST - 1) && line < end) {
        *end = '\0';
        put_line(line);
        line = end;
    }
    input_length = (size_t)(end - line);
    memmove(input, line, input_length);
}

static bool filter(void)
{
    ssize_t got = 1;

    while (got > 0) {
        got = read(STDIN_FILENO, input + input_length, INPUT_MOST - 1 - input_length);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        input_length += got > 0 ? (size_t)got : 0;
        put_lines(got <= 0);
        if (!more_waits() && !flush())
            return false;
    }
    return flush() && got == 0;
}

static int symbolize(int argc, char **argv)
{
    bool paths = false;

    if (argc > 1 && !strcmp(argv[1], "--paths"))
        paths = true;
    if (argc > 1 + paths)
        return fail(STATUS_USAGE, "symbolize takes no arguments but --paths; it reads standard input");
    if (!frames_start(paths))
        return fail(STATUS_CANNOT_SYMBOLIZE, "symbolize needs " LIBDW_NAME " of elfutils; install the package " LIBDW_PACKAGE);
    return filter() ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct command_option own_options[] = {{"--paths", NULL}, {NULL, NULL}};

const struct command command_symbolize = {
    .name = "symbolize",
    .arguments = "[--paths]",
    .summary = "Name functions, files and lines in a report read from standard input",
    .details = "Frames as reports have them, FUNCTION+0x1a (MODULE+0x11a2) (BuildId: ...), become FUNCTION FILE:LINE, with\n"
               "the functions that they were inlined into below them and C++ names as the source has them. What is\n"
               "no frame passes through. Debug information is looked for as debuggers do: in the module, by its\n"
               "build-id under /usr/lib/debug, at DEBUGINFOD_URLS. Modules of another build than the one that ran\n"
               "are not asked. With --paths files have their folders. It needs " LIBDW_NAME " (package " LIBDW_PACKAGE ").\n",
    .options = own_options,
    .run = symbolize,
};
