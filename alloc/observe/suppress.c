/* SPDX-License-Identifier: MIT */
#include "observe/suppress.h"

#include <string.h>

#include "os/os.h"
#include "kit/finding.h"
#include "kit/report.h"

#define FILE_MOST (64 * KIB)
#define PREFIX "leak:"
#define PREFIX_LENGTH (sizeof PREFIX - 1)
#define SHOWN_MOST 64 /* characters of a bad line that are shown */

static char text[FILE_MOST] BIG_TABLE; /* the file; its patterns are looked at where they stand */
static size_t text_length;

/* ---- a pattern --------------------------------------------------------------------------------------------------- */

/* A piece of a pattern with *, which must match all of the name. On a mismatch the last * takes one character more. */
static bool matches_whole(const char *at, const char *end, const char *name) {
    const char *star = NULL, *again = NULL;
    while (*name != '\0') {
        if (at < end && *at == '*') {
            star = ++at;
            again = name;
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
    while (at < end && *at == '*')
        at++;
    return at == end;
}

bool suppress_pattern_matches(const char *pattern, size_t length, const char *name) {
    const char *end = pattern + length;
    bool from_start = length > 0 && *pattern == '^', to_end = length > 0 && end[-1] == '$';
    char whole[512];
    size_t used = 0, kept = length - from_start - (to_end && end - pattern > from_start);
    if (kept + 3 > sizeof whole)
        return false;
    if (!from_start)
        whole[used++] = '*';
    memcpy(whole + used, pattern + from_start, kept);
    used += kept;
    if (!to_end)
        whole[used++] = '*';
    return matches_whole(whole, whole + used, name);
}

static bool is_at(const char *at, const char *end, const char *text_there) {
    size_t length = strlen(text_there);
    return (size_t)(end - at) >= length && memcmp(at, text_there, length) == 0;
}

/* A bracket of template arguments or parameters; not one in the name of an operator, or of what has none. */
static bool has_arguments(const char *at, const char *end) {
    static const char *const spared[] = {"(anonymous namespace)", "operator()", "operator<<", "operator<"};
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
    static const char *const endings[] = {".c", ".cc", ".cp", ".cpp", ".cxx", ".c++", ".C", ".h", ".hh", ".hpp", ".hxx",
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

static bool is_pattern(const struct line *line) {
    return line->length > PREFIX_LENGTH && line->length < 500 && memcmp(line->start, PREFIX, PREFIX_LENGTH) == 0;
}

static bool is_bad(const struct line *line) {
    return !says_nothing(line) && !is_pattern(line);
}

static bool wants_symbolizer(const struct line *line) {
    return is_pattern(line) && suppress_pattern_wants_symbolizer(line->start + PREFIX_LENGTH, line->length - PREFIX_LENGTH);
}

/* One message, for the first line of a kind; it says if there are more. */
static void complain(const char *path, bool (*is)(const struct line *line), const char *what) {
    struct line line = {0}, first = {0};
    const char *at = text;
    char shown[SHOWN_MOST + 1];
    size_t count = 0;
    while (next_line(&line, &at))
        if (is(&line) && count++ == 0)
            first = line;
    if (count == 0)
        return;
    size_t length = min_size(first.length, SHOWN_MOST);
    memcpy(shown, first.start, length);
    shown[length] = '\0';
    report_line("leaks_suppress: %s:%z: '%s' %s%s", path, first.number, shown, what,
                count > 1 ? ", and so are further lines" : "");
}

/* The file goes on behind what was read: the start of a line would be another pattern, which may match everything. */
static void drop_cut_line(const char *path) {
    while (text_length > 0 && text[text_length - 1] != '\n')
        text_length--;
    report_line("leaks_suppress: of the file %s only the lines in its first %z bytes are read", path, sizeof text);
}

void suppress_read(const char *path) {
    if (*path == '\0')
        return;
    int fd = os_open_read(path);
    text_length = fd >= 0 ? os_read_at(fd, text, sizeof text, 0) : 0;
    if (fd >= 0)
        os_close(fd);
    if (fd < 0)
        report_line("leaks_suppress: the file %s cannot be read; no leak is suppressed", path);
    else if (text_length == sizeof text)
        drop_cut_line(path);
    complain(path, is_bad, "is no 'leak:PATTERN', ignored");
    if (!finding_has_symbolizer())
        complain(path, wants_symbolizer, "names a source file, template arguments or parameters, which only a symbolizer sees "
                 "(start the program by 'myalloc run'): ignored");
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
