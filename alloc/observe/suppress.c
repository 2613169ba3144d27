/* SPDX-License-Identifier: MIT */
#include "observe/suppress.h"

#include <string.h>

#include "os/os.h"
#include "kit/path.h"
#include "kit/report.h"
#include "kit/symbolizer.h"

#define FILE_MOST (64 * KIB)
#define PREFIX "leak:"
#define PREFIX_LENGTH (sizeof PREFIX - 1)
#define SHOWN_MOST 64 /* characters of a bad line that are shown */

static char text[FILE_MOST] BIG_TABLE; /* the file; its patterns are looked at where they stand */
static size_t text_length;

/* ---- a pattern --------------------------------------------------------------------------------------------------- */

bool suppress_pattern_matches(const char *pattern, size_t length, const char *name) {
    const char *end = pattern + length;
    bool from_start = length > 0 && *pattern == '^', to_end = length > from_start && end[-1] == '$';
    const char *at = pattern + from_start;
    end -= to_end;
    /* Where the last * stands, and what of the name is behind what it took: on a mismatch it takes one character more. What may
     * stand anywhere begins as behind a *. */
    const char *star = from_start ? NULL : at, *again = name;
    for (;;) {
        if (at == end && (!to_end || *name == '\0'))
            return true;
        if (at < end && *at == '*') {
            star = ++at;
            again = name;
        } else if (*name == '\0') {
            return false;
        } else if (at < end && *at == *name) {
            at++;
            name++;
        } else if (star != NULL) {
            at = star;
            name = ++again;
        } else {
            return false;
        }
    }
}

/* Nothing but ^ and $: it would match every name, or none. */
static bool has_no_name(const char *pattern, size_t length) {
    bool is_anchor = length == 1 && (*pattern == '^' || *pattern == '$');
    return length == 0 || is_anchor || (length == 2 && memcmp(pattern, "^$", 2) == 0);
}

static bool is_at(const char *at, const char *end, const char *text_there) {
    size_t length = strlen(text_there);
    return (size_t)(end - at) >= length && memcmp(at, text_there, length) == 0;
}

/* A bracket of template arguments or parameters; not one in the name of an operator, or of what has none. */
static bool has_arguments(const char *at, const char *end) {
    static const char spared[][22] = {"(anonymous namespace)", "operator()", "operator<<", "operator<"};
    while (at < end) {
        size_t skip = 0;
        for (size_t i = 0; i < sizeof spared / sizeof *spared && skip == 0; i++)
            skip = is_at(at, end, spared[i]) ? strlen(spared[i]) : 0;
        if (skip == 0 && (*at == '(' || *at == '<'))
            return true;
        at += skip != 0 ? skip : 1;
    }
    return false;
}

/* Something that ends as source files do, with a line's number or without. */
static bool is_source(const char *at, const char *end) {
    static const char endings[][5] = {".c", ".cc", ".cp", ".cpp", ".cxx", ".c++", ".C", ".h", ".hh", ".hpp", ".hxx",
                                      ".h++", ".tcc", ".ipp", ".inl", ".inc", ".rs"};
    const char *digits = end;
    while (digits > at && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    if (digits > at && digits < end && digits[-1] == ':')
        end = digits - 1;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t length = strlen(endings[i]);
        if ((size_t)(end - at) > length && is_at(end - length, end, endings[i]))
            return true;
    }
    return false;
}

bool suppress_pattern_wants_symbolizer(const char *pattern, size_t length) {
    const char *end = pattern + length;
    if (length > 0 && end[-1] == '$')
        end--;
    return has_arguments(pattern, end) || is_source(pattern, end);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

struct line {
    const char *start;
    size_t length, number;
};

/* The next line, without white space at its ends; false at the end. The first time `line` is all 0. */
static bool next_line(struct line *line, const char **at) {
    const char *end = text + text_length;
    if (*at >= end)
        return false;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at)), *stop = newline != NULL ? newline : end;
    line->start = *at;
    *at = stop + 1;
    while (stop > line->start && (unsigned char)stop[-1] <= ' ')
        stop--;
    while (line->start < stop && (unsigned char)*line->start <= ' ')
        line->start++;
    line->length = (size_t)(stop - line->start);
    line->number++;
    return true;
}

static bool says_nothing(const struct line *line) {
    return line->length == 0 || *line->start == '#';
}

/* What is wrong with a line, or NULL. */
static const char *wrong_with(const struct line *line) {
    if (says_nothing(line))
        return NULL;
    if (memchr(line->start, '\0', line->length) != NULL)
        return "has a NUL byte in it, as no text in UTF-8 has";
    if (line->length < PREFIX_LENGTH || memcmp(line->start, PREFIX, PREFIX_LENGTH) != 0)
        return "is no 'leak:PATTERN'";
    return has_no_name(line->start + PREFIX_LENGTH, line->length - PREFIX_LENGTH) ? "has no part of a name in it" : NULL;
}

static bool is_pattern(const struct line *line) {
    return !says_nothing(line) && wrong_with(line) == NULL;
}

static bool wants_symbolizer(const struct line *line) {
    return is_pattern(line) && suppress_pattern_wants_symbolizer(line->start + PREFIX_LENGTH, line->length - PREFIX_LENGTH);
}

static const char *needs_symbolizer(const struct line *line) {
    return wants_symbolizer(line) ? "names a source file, template arguments or parameters, which only a symbolizer sees "
                                    "(start the program by 'myalloc run')"
                                  : NULL;
}

/* One message, for the first line of which something is to be said; it says if there are more. */
static void complain(const char *path, const char *(*what)(const struct line *line)) {
    struct line line = {0}, first = {0};
    const char *at = text;
    char shown[SHOWN_MOST + sizeof "..."];
    size_t count = 0;
    while (next_line(&line, &at))
        if (what(&line) != NULL && count++ == 0)
            first = line;
    if (count == 0)
        return;
    size_t length = min_size(first.length, SHOWN_MOST);
    for (size_t i = 0; i < length; i++)
        shown[i] = first.start[i] != '\0' ? first.start[i] : '?';
    memcpy(shown + length, first.length > length ? "..." : "", first.length > length ? sizeof "..." : 1);
    report_line("leaks_suppress: %s:%z: '%s' %s: ignored%s", path, first.number, shown, what(&first),
                count > 1 ? ", and so are further lines" : "");
}

/* The file goes on behind what was read: the start of a line would be another pattern, which may match everything. */
static void drop_cut_line(const char *path) {
    while (text_length > 0 && text[text_length - 1] != '\n')
        text_length--;
    report_line("leaks_suppress: of the file %s only the lines in its first %z bytes are read", path, sizeof text);
}

/* Editors put it in front of the first line. */
static void drop_byte_order_mark(void) {
    static const char mark[] = "\xef\xbb\xbf";
    if (text_length < sizeof mark - 1 || memcmp(text, mark, sizeof mark - 1) != 0)
        return;
    text_length -= sizeof mark - 1;
    memmove(text, text + sizeof mark - 1, text_length);
}

void suppress_read(const char *path) {
    if (*path == '\0')
        return;
    int error = os_read_path(path, text, sizeof text, &text_length);
    if (error != 0) {
        text_length = 0;
        report_line("leaks_suppress: the file %s cannot be read: %s; no leak is suppressed", path, path_error(error));
    } else if (text_length == sizeof text) {
        drop_cut_line(path);
    }
    drop_byte_order_mark();
    complain(path, wrong_with);
    if (!symbolizer_is_set())
        complain(path, needs_symbolizer);
}

bool suppress_is_on(void) {
    return text_length > 0;
}

bool suppress_wants_symbolizer(void) {
    struct line line = {0};
    const char *at = text;
    while (next_line(&line, &at))
        if (wants_symbolizer(&line))
            return true;
    return false;
}

bool suppress_is_named(const char *name) {
    struct line line = {0};
    const char *at = text;
    while (name != NULL && next_line(&line, &at))
        if (is_pattern(&line) && suppress_pattern_matches(line.start + PREFIX_LENGTH, line.length - PREFIX_LENGTH, name))
            return true;
    return false;
}
