/* SPDX-License-Identifier: MIT */
#include "observe/suppress_frames.h"

#include <string.h>

#include "base/address_map.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/finding.h"
#include "kit/report.h"
#include "kit/text.h"
#include "callers/backtrace.h"
#include "callers/demangle.h"
#include "observe/suppress.h"

#define NAME_ROOM 4096 /* names of templates are long */
/* To 64 KiB of questions, some thousand: 16 KiB each, for names of templates inlined in each other. */
#define ANSWERS_MOST (16 * MIB)
#define INLINED "inlined into "

struct frame {
    uintptr_t address;
    bool named;
};

static struct address_map frames = ADDRESS_MAP(struct frame);
static char questions[OS_FILTER_MOST] BIG_TABLE; /* for the symbolizer */
static char name[NAME_ROOM] BIG_TABLE, demangled[NAME_ROOM] BIG_TABLE;

/* ---- names that the process itself knows ------------------------------------------------------------------------- */

static bool is_named(const void *address) {
    struct backtrace_symbol symbol;
    backtrace_resolve(address, &symbol, name, sizeof name);
    return suppress_is_named(symbol.function) || suppress_is_named(symbol.module) ||
           (symbol.function != NULL && demangle_name(symbol.function, demangled, sizeof demangled) &&
            suppress_is_named(demangled));
}

void suppress_frames_add(void *const *list, unsigned count) {
    for (unsigned i = 0; suppress_is_on() && i < count; i++) {
        if (address_map_find(&frames, list[i]) != NULL || !budget_grow_map(&frames, 1))
            continue;
        bool named = is_named(list[i]); /* before the entry is there, which is empty until then */
        ((struct frame *)address_map_insert(&frames, list[i]))->named = named;
    }
}

bool suppress_frames_match(void *const *list, unsigned count) {
    for (unsigned i = 0; suppress_is_on() && i < count; i++) {
        const struct frame *frame = address_map_find(&frames, list[i]);
        if (frame != NULL ? frame->named : is_named(list[i]))
            return true;
    }
    return false;
}

void suppress_frames_forget(void) {
    if (frames.size > 0)
        budget_unmap(frames.entries, address_map_bytes(&frames));
    frames = (struct address_map)ADDRESS_MAP(struct frame);
}

/* ---- names that the symbolizer knows ----------------------------------------------------------------------------- */

/* "FUNCTION FILE:LINE", or "FUNCTION (MODULE+0x11a2)". A path begins with a slash; a function may have spaces in it. */
static bool is_answer_named(char *answer) {
    char *space = NULL;
    for (char *next = answer; (next = strchr(next, ' ')) != NULL; next++)
        if (space == NULL || next[1] == '/' || space[1] != '/')
            space = next;
    if (space == NULL)
        return false;
    *space = '\0';
    char *file = space + 1, *colon = strrchr(file, ':'), *slash;
    if (suppress_is_named(answer) || suppress_is_named(file)) /* also FILE:LINE */
        return true;
    if (colon != NULL)
        *colon = '\0';
    slash = strrchr(file, '/');
    return suppress_is_named(file) || (slash != NULL && suppress_is_named(slash + 1));
}

/* "    #17 ANSWER", where 17 is the place of a frame in the table, or what that was inlined into, below it. */
static void read_answer(char *line, size_t *place) {
    line += strspn(line, " ");
    if (*line == '#') {
        for (*place = 0, line++; *line >= '0' && *line <= '9'; line++)
            *place = *place * 10 + (size_t)(*line - '0');
        line += *line == ' ';
    } else if (strncmp(line, INLINED, sizeof INLINED - 1) == 0) {
        line += sizeof INLINED - 1;
    } else {
        return;
    }
    struct frame *frame = *place < frames.size ? address_map_at(&frames, *place) : NULL;
    if (frame != NULL && !frame->named)
        frame->named = is_answer_named(line);
}

/* Line by line, each ended by a newline. */
static void read_answers(char *text, size_t length) {
    size_t place = SIZE_MAX;
    char *end = text + length;
    for (char *newline; (newline = memchr(text, '\n', (size_t)(end - text))) != NULL; text = newline + 1) {
        *newline = '\0';
        read_answer(text, &place);
    }
}

static bool ask(size_t bytes) {
    struct symbolized answer;
    if (!finding_symbolize("--paths", questions, bytes, ANSWERS_MOST, &answer))
        return false;
    read_answers(answer.text, answer.length);
    symbolizer_drop(&answer);
    return true;
}

void suppress_frames_symbolize(void) {
    size_t bytes = 0;
    bool done = true;
    if (!symbolizer_is_set())
        return;
    for (size_t i = 0; done && i < frames.size; i++) {
        const struct frame *frame = address_map_at(&frames, i);
        if (frame == NULL || frame->named)
            continue;
        backtrace_module((const void *)frame->address, name, sizeof name);
        if (*name == '\0')
            continue;
        if (bytes + sizeof name + 32 > sizeof questions) {
            done = ask(bytes);
            bytes = 0;
        }
        bytes += text_format(questions + bytes, sizeof questions - bytes, "    #%z %s\n", i, name);
    }
    done = done && (bytes == 0 || ask(bytes));
    if (!done && suppress_wants_symbolizer())
        report_line("leaks_suppress: the symbolizer failed: patterns of source files, template arguments and parameters are "
                    "ignored");
}
