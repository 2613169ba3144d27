/* SPDX-License-Identifier: MIT */
/* The lines of such a file, with numbers of base 16; what the library in the program writes is raw, and heaptrack_interpret
 * makes of it what heaptrack itself reads:
 *
 *   v HEAPTRACK FORMAT       the first one
 *   X PROGRAM ARGUMENTS
 *   c MILLISECONDS           the time from here on
 *   raw: + SIZE STACK ADDRESS, - ADDRESS
 *   interpreted: a SIZE STACK, which has a number, from 0 on; + NUMBER, - NUMBER
 *
 * All other lines are of modules, names, stacks and the machine. A realloc is a "-" and a "+". An interpreted file does not say
 * which of the blocks of one size and one stack ends: the youngest is taken. */
#include "from_heaptrack.h"

#include <stdlib.h>
#include <string.h>

#include "foreign_log.h"
#include "memory.h"

enum { FORMAT_MOST = 3, OLD_HEAPTRACK = 0x010200, STEP_NS = 10 * 1000 * 1000 }; /* a thread of its own tells the time */

static const char OTHERS[] = "xImtsiRSA#";

enum form { UNKNOWN, RAW, INTERPRETED };

/* A block that lives, of those with one size and stack; 0 is none. */
struct living {
    uint64_t block;
    size_t below;
};

struct kind {
    uint64_t size;
    size_t youngest;
};

struct state {
    struct foreign_log *log;
    char *program;
    enum form form;
    struct kind *kinds;
    size_t kind_count, kind_room;
    struct living *living;
    size_t living_count, living_room, spare;
};

/* `count` numbers behind the letter, and nothing more. */
static bool read_numbers(const char *text, uint64_t *values, size_t count)
{
    const char *at = text + 1;

    for (size_t i = 0; i < count; i++) {
        if (*at++ != ' ' || !foreign_log_number(&at, &values[i]))
            return false;
    }
    return !*at;
}

/* Whether the file is of this form, which its first such line has told. */
static bool is_of(struct state *state, enum form form)
{
    if (state->form == UNKNOWN) {
        state->form = form;
        if (form == INTERPRETED)
            state->log->writer->source = "an interpreted file of heaptrack";
    }
    return state->form == form;
}

static void push(struct state *state, struct kind *kind, uint64_t block)
{
    size_t at = state->spare;

    if (at) {
        state->spare = state->living[at].below;
    } else {
        state->living = memory_room(state->living, state->living_count + 1, &state->living_room, sizeof *state->living);
        at = ++state->living_count;
    }
    state->living[at] = (struct living){block, kind->youngest};
    kind->youngest = at;
}

static uint64_t pop(struct state *state, struct kind *kind)
{
    size_t at = kind->youngest;

    kind->youngest = state->living[at].below;
    state->living[at].below = state->spare;
    state->spare = at;
    return state->living[at].block;
}

/* Of the call of the library: it knows no more than that it gave a block. */
static uint64_t got(struct state *state, uint64_t size)
{
    return recording_writer_got(state->log->writer, RECORDING_MALLOC, size);
}

/* These return NULL, or what is wrong with the line. */
static const char *take_got(struct state *state, const char *text)
{
    uint64_t raw[3], number;

    if (read_numbers(text, raw, 3) && is_of(state, RAW)) {
        foreign_log_put(state->log, raw[2], got(state, raw[0]), text);
        return NULL;
    }
    if (!read_numbers(text, &number, 1) || !is_of(state, INTERPRETED))
        return "no line of heaptrack, which is left out";
    if (number >= state->kind_count)
        return "no line with a has that number; it is left out";
    push(state, &state->kinds[number], got(state, state->kinds[number].size));
    return NULL;
}

static const char *take_freed(struct state *state, const char *text)
{
    uint64_t value;

    if (!read_numbers(text, &value, 1))
        return "no line of heaptrack, which is left out";
    if (state->form != INTERPRETED)
        foreign_log_free(state->log, value);
    else if (value >= state->kind_count)
        return "no line with a has that number; it is left out";
    else if (!state->kinds[value].youngest)
        recording_writer_rare(state->log->writer, RECORDING_FOREIGN, 0);
    else
        recording_writer_freed(state->log->writer, pop(state, &state->kinds[value]));
    return NULL;
}

static const char *take_kind(struct state *state, const char *text)
{
    uint64_t values[2];

    if (!read_numbers(text, values, 2) || !is_of(state, INTERPRETED))
        return "no line of heaptrack, which is left out";
    state->kinds = memory_room(state->kinds, state->kind_count, &state->kind_room, sizeof *state->kinds);
    state->kinds[state->kind_count++] = (struct kind){.size = values[0]};
    return NULL;
}

static const char *take_time(struct state *state, const char *text)
{
    uint64_t ms;

    if (!read_numbers(text, &ms, 1) || ms > UINT64_MAX / 1000000)
        return "no time, which is left out";
    if (ms * 1000000 < state->log->writer->time)
        return "the time goes back; it is left out";
    state->log->writer->time = ms * 1000000;
    return NULL;
}

/* Its name, without its folder and arguments. */
static const char *take_program(struct state *state, const char *text)
{
    size_t length = strcspn(text, " ");
    const char *slash = memrchr(text, '/', length);
    const char *name = slash ? slash + 1 : text;

    if (state->program)
        return "a second program, which is left out";
    state->program = memory_copy(name, length - (size_t)(name - text));
    state->log->writer->program = state->program;
    return NULL;
}

static const char *take_line(struct state *state, const char *text)
{
    switch (text[0]) {
    case '+':
        return take_got(state, text);
    case '-':
        return take_freed(state, text);
    case 'a':
        return take_kind(state, text);
    case 'c':
        return take_time(state, text);
    default:
        return !text[0] || (strchr(OTHERS, text[0]) && (!text[1] || text[1] == ' ' || text[0] == '#'))
                   ? NULL : "no line of heaptrack, which is left out";
    }
}

/* NULL, or why a file that begins like that is not read. */
static const char *check_version(const char *text)
{
    static char refusal[96];
    uint64_t values[2] = {0, 1}; /* what became format 1 had no number */

    if (text[0] != 'v' || (!read_numbers(text, values, 2) && (!read_numbers(text, values, 1) || values[0] != OLD_HEAPTRACK)))
        return "it is no file of heaptrack: its first line tells no version; 'heaptrack PROGRAM' makes one";
    if (values[1] >= 1 && values[1] <= FORMAT_MOST)
        return NULL;
    snprintf(refusal, sizeof refusal, "its format is %llu of heaptrack's, of which 1 to %d are read",
             (unsigned long long)values[1], FORMAT_MOST);
    return refusal;
}

static void take_lines(struct state *state)
{
    struct foreign_log *log = state->log;
    size_t length;
    const char *text;

    while ((text = lines_next(&log->lines, &length))) {
        const char *wrong;

        if (log->lines.is_cut)
            wrong = "the file ends in the middle of a line, which is left out";
        else if (text[0] == 'X' && text[1] == ' ')
            wrong = take_program(state, text + 2);
        else if (log->lines.is_long)
            wrong = strchr("xmsi", text[0]) ? NULL : "a line longer than any of heaptrack's, which is left out";
        else
            wrong = strlen(text) == length ? take_line(state, text) : "no line of heaptrack, which is left out";
        if (wrong)
            foreign_log_wrong(log, wrong, text);
    }
}

static const char *convert(struct foreign_log *log, bool *is_whole)
{
    struct state state = {.log = log};
    size_t length;
    const char *text = lines_next(&log->lines, &length), *refusal;

    if (!text && log->lines.wrong[0])
        return log->lines.wrong;
    refusal = check_version(text ? text : "");
    if (refusal)
        return refusal;
    log->writer->source = "a file of heaptrack";
    log->writer->step = STEP_NS;
    take_lines(&state);
    *is_whole = !log->lines.is_cut;
    free(state.kinds);
    free(state.living);
    return NULL;
}

int from_heaptrack(const char *path, const char *out)
{
    return foreign_log_record(path, out, convert);
}
