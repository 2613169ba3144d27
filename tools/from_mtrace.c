/* SPDX-License-Identifier: MIT */
/* The lines of such a log, where "@ CALLER " may stand before the sign:
 *
 *   = Start, = End
 *   + ADDRESS SIZE    a block is got; at "(nil)" none
 *   - ADDRESS         one is given back
 *   < ADDRESS         one that realloc gives back; the next line has what it became
 *   > ADDRESS SIZE
 *   ! ADDRESS SIZE    a realloc that got none
 *
 * A caller may have blanks in it, so a line is read from its end. */
#include "from_mtrace.h"

#include <string.h>

#include "foreign_log.h"

struct line {
    char sign;
    bool is_nil;
    uint64_t address, size;
};

struct state {
    struct foreign_log *log;
    bool is_resizing, is_known; /* the line before was "<"; of a block of the log */
    uint64_t before;
};

/* The last word of `text`, which ends before it then; NULL if there is none. */
static char *last_word(char *text)
{
    char *blank = strrchr(text, ' '), *word = blank ? blank + 1 : text;

    if (!*word)
        return NULL;
    if (blank)
        *blank = '\0';
    return word;
}

static bool is_sign(const char *word, const char *signs)
{
    return word && word[0] && !word[1] && strchr(signs, word[0]);
}

static bool read_number(const char *word, uint64_t *value)
{
    return foreign_log_number(&word, value) && !*word;
}

/* False if the text, which is changed, is none. */
static bool read_line(char *text, struct line *line)
{
    char *words[3] = {last_word(text)}, *sign, *address;
    bool has_size;

    words[1] = words[0] && words[0] != text ? last_word(text) : NULL;
    has_size = !is_sign(words[1], "-<");
    words[2] = has_size && words[1] && words[1] != text ? last_word(text) : NULL;
    sign = has_size ? words[2] : words[1];
    address = has_size ? words[1] : words[0];
    if (!is_sign(sign, has_size ? "+>!" : "-<") || (sign != text && (text[0] != '@' || text[1] != ' ')))
        return false;
    *line = (struct line){.sign = *sign, .is_nil = !strcmp(address, "(nil)")};
    return (line->is_nil || read_number(address, &line->address)) && (!has_size || read_number(words[0], &line->size));
}

static void end_resizing(struct state *state, const char *text)
{
    if (!state->is_resizing)
        return;
    foreign_log_wrong(state->log, "a line with > was to come behind the one with <, which counts as a free", text);
    if (state->is_known)
        recording_writer_freed(state->log->writer, state->before);
    else
        recording_writer_rare(state->log->writer, RECORDING_FOREIGN, 0);
    state->is_resizing = false;
}

static void take_resized(struct state *state, const struct line *line, const char *text)
{
    struct recording_writer *writer = state->log->writer;

    if (!state->is_resizing) {
        foreign_log_wrong(state->log, "no line with < stands before it; it counts as a malloc", text);
        foreign_log_put(state->log, line->address, recording_writer_got(writer, RECORDING_MALLOC, line->size), text);
        return;
    }
    if (!state->is_known)
        recording_writer_rare(writer, RECORDING_FOREIGN, 0);
    state->is_resizing = false;
    foreign_log_put(state->log, line->address,
                    recording_writer_resized(writer, state->before, !state->is_known, line->size), text);
}

static void take_line(struct state *state, const struct line *line, const char *text)
{
    struct foreign_log *log = state->log;

    if (line->sign != '>')
        end_resizing(state, text);
    if (line->sign == '<') {
        state->is_resizing = true;
        state->is_known = foreign_log_take(log, line->address, &state->before);
    } else if (line->sign == '>') {
        take_resized(state, line, text);
    } else if (line->sign == '-') {
        if (!line->is_nil)
            foreign_log_free(log, line->address);
        else
            recording_writer_freed_null(log->writer);
    } else if (line->sign == '!' || line->is_nil) {
        recording_writer_rare(log->writer, RECORDING_REFUSED, line->size);
    } else {
        foreign_log_put(log, line->address, recording_writer_got(log->writer, RECORDING_MALLOC, line->size), text);
    }
}

/* "> (nil)" and what else has no meaning. */
static bool is_sound(const struct line *line)
{
    return line->sign == '+' || line->sign == '-' || line->sign == '!' || !line->is_nil;
}

static const char *convert(struct foreign_log *log, bool *is_whole)
{
    static char copy[LINES_LONGEST + 1];
    struct state state = {.log = log};
    const char *name = strrchr(log->path, '/');
    size_t length;
    char *text = lines_next(&log->lines, &length);

    if (!text || strcmp(text, "= Start"))
        return log->lines.wrong[0] ? log->lines.wrong
                                   : "it is no log of mtrace: its first line is not '= Start'; see mtrace(3)";
    log->writer->program = name ? name + 1 : log->path;
    log->writer->source = "a log of mtrace";
    while ((text = lines_next(&log->lines, &length))) {
        struct line line;

        memcpy(copy, text, strlen(text) + 1);
        *is_whole = !strcmp(text, "= End") && strlen(text) == length;
        if (*is_whole || !strcmp(text, "= Start")) /* a program may begin again, and goes on with the same log */
            end_resizing(&state, text);
        else if (log->lines.is_cut)
            foreign_log_wrong(log, "the file ends in the middle of a line, which is left out", text);
        else if (strlen(text) == length && !log->lines.is_long && read_line(copy, &line) && is_sound(&line))
            take_line(&state, &line, text);
        else
            foreign_log_wrong(log, "no line of mtrace, which is left out", text);
    }
    end_resizing(&state, "the end");
    return NULL;
}

int from_mtrace(const char *path, const char *out)
{
    return foreign_log_record(path, out, convert);
}
