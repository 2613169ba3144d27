/* SPDX-License-Identifier: MIT */
#include "kit/symbolizer.h"

#include <stdatomic.h>
#include <string.h>

#include "os/os.h"
#include "kit/path.h"
#include "kit/readonly.h"
#include "kit/text.h"

#define SUMMARY "SUMMARY: myalloc: " /* may stand behind a colour */
#define VARIABLES_MOST 8

extern char **__environ;

struct command {
    const char *path;
    unsigned seconds;
};
READONLY_PAGES(struct command, command) = {{NULL, 0}};

static _Atomic unsigned told; /* bits of the kinds of failures */
static _Atomic bool given_up; /* one that did not end is not waited for again */

void symbolizer_set(const char *path, unsigned seconds) {
    if (!readonly_open(&command_pages, sizeof command_pages))
        return;
    command_pages.value.path = path;
    command_pages.value.seconds = seconds;
    readonly_shut(&command_pages, sizeof command_pages);
}

/* Not given from the start: a pointer to an empty text would be a page that the loader writes in every process. */
bool symbolizer_is_set(void) {
    return command_pages.value.path != NULL && *command_pages.value.path != '\0';
}

/* The variables that it needs: where the user's files are, and where debug information may be asked for. */
static void choose_variables(const char **chosen) {
    static const char names[][24] = {"PATH=", "HOME=", "XDG_CACHE_HOME=", "DEBUGINFOD_URLS=", "DEBUGINFOD_CACHE_PATH="};
    size_t count = 0;
    for (char **variable = __environ; variable != NULL && *variable != NULL; variable++)
        for (size_t i = 0; i < sizeof names / sizeof *names && count + 1 < VARIABLES_MOST; i++)
            if (strncmp(*variable, names[i], strlen(names[i])) == 0)
                chosen[count++] = *variable;
    chosen[count] = NULL;
}

static size_t summaries(const char *text, size_t bytes) {
    const char *end = text + bytes;
    size_t count = 0;
    while ((text = memchr(text, SUMMARY[0], (size_t)(end - text))) != NULL && (size_t)(end - text) >= sizeof SUMMARY) {
        count += memcmp(text, SUMMARY, sizeof SUMMARY - 1) == 0;
        text++;
    }
    return count;
}

/* True if what it wrote can stand for the report. */
static bool is_whole(const struct os_filter *filter) {
    return filter->length > 0 && filter->out[filter->length - 1] == '\n' &&
           summaries(filter->out, filter->length) >= summaries(filter->text, filter->bytes);
}

/* The first line that it wrote, which is likely to say why it failed, behind what is said of it. */
static void add_first_line(const struct os_filter *filter, char *out, size_t room) {
    size_t at = strlen(out), length = 0;
    while (length < filter->length && filter->out[length] != '\n')
        length++;
    bool is_report = length <= filter->bytes && memcmp(filter->out, filter->text, length) == 0;
    if (is_report || at + sizeof ": " + length > room)
        return;
    memcpy(out + at, ": ", 2);
    memcpy(out + at + 2, filter->out, length);
    out[at + 2 + length] = '\0';
}

/* What is said of a failure; with DONE, that the answer is not the report. */
static void describe(const struct os_filter *filter, enum os_filter_end end, char *out, size_t room) {
    const char *path = command_pages.value.path;
    char how[200];
    switch (end) {
    case OS_FILTER_NOT_STARTED:
        text_format(how, sizeof how, "cannot be started: %s", os_error_text(filter->number));
        break;
    case OS_FILTER_ENDED:
        text_format(how, sizeof how, "ended with status %d", filter->number);
        add_first_line(filter, how, sizeof how);
        break;
    case OS_FILTER_KILLED:
        text_format(how, sizeof how, "was ended by signal %d", filter->number);
        break;
    case OS_FILTER_LATE:
        text_format(how, sizeof how, "had not ended after %d seconds (symbolizer_seconds)", (int)filter->seconds);
        break;
    case OS_FILTER_ENDLESS:
        text_format(how, sizeof how, "wrote more than %z bytes", filter->room);
        break;
    default:
        text_format(how, sizeof how, "wrote no whole report");
        break;
    }
    text_format(out, room, "symbolizer: '%s' %s; %s", path, how,
                end == OS_FILTER_LATE ? "reports go as they are from now on" : "the report goes as it is");
}

static bool fail(struct symbolized *answer, const struct os_filter *filter, enum os_filter_end end) {
    if (end == OS_FILTER_LATE)
        given_up = true;
    if (end != OS_FILTER_REFUSED && (atomic_fetch_or(&told, 1u << end) & 1u << end) == 0)
        describe(filter, end, answer->failure, sizeof answer->failure);
    symbolizer_drop(answer);
    return false;
}

bool symbolizer_ask(const char *option, const char *text, size_t bytes, size_t room, struct symbolized *answer) {
    char path[PATH_ROOM];
    const char *const arguments[] = {path, "symbolize", option, NULL}, *variables[VARIABLES_MOST];
    *answer = (struct symbolized){.failure = ""};
    if (!symbolizer_is_set() || given_up || !path_from_start(command_pages.value.path, path, sizeof path))
        return false;
    answer->text = os_map(room, OS_PAGE, os_unmap);
    answer->room = room;
    if (answer->text == NULL)
        return false;
    choose_variables(variables);
    struct os_filter filter = {.arguments = arguments, .environment = variables, .text = text, .bytes = bytes,
                               .out = answer->text, .room = room, .seconds = command_pages.value.seconds};
    enum os_filter_end end = os_filter(&filter);
    if (end != OS_FILTER_DONE || !is_whole(&filter))
        return fail(answer, &filter, end);
    answer->length = filter.length;
    return true;
}

void symbolizer_drop(struct symbolized *answer) {
    if (answer->text != NULL)
        os_unmap(answer->text, answer->room);
    answer->text = NULL;
}
