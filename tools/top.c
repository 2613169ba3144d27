/* SPDX-License-Identifier: MIT */
/* `myalloc top [PID]`: watches processes that run on the library, on the terminal or as lines of text or JSON. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "message.h"
#include "top_json.h"
#include "top_text.h"
#include "top_view.h"

enum { PIPE_COLUMNS = 132 }; /* of a text that nobody's terminal bounds: all columns of the table */

struct settings {
    long rounds; /* 0: until it is ended */
    bool is_batch, is_json;
    double interval; /* seconds */
    int number;      /* of one process, or 0 */
};

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static bool read_interval(const char *text, double *interval)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *interval = strtod(text, &end);
    return !*end && *interval >= 0.1 && *interval <= 3600;
}

/* An option with a value. Returns the exit status; 0: all is well. */
static int read_value(struct settings *settings, const char *option, const char *value)
{
    if (!strcmp(option, "--interval"))
        return read_interval(value, &settings->interval) ? 0 :
            fail(STATUS_USAGE, "top: --interval takes seconds from 0.1 to 3600, not '%s'", value);
    settings->is_batch = true;
    settings->rounds = process_number(value);
    return settings->rounds ? 0 : fail(STATUS_USAGE, "top: --batch takes a number of rounds, not '%s'", value);
}

static int read_arguments(struct settings *settings, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int status = 0;

        if (!strcmp(argv[i], "--json"))
            settings->is_json = true;
        else if (!strcmp(argv[i], "--batch") || !strcmp(argv[i], "--interval"))
            status = read_value(settings, argv[i], argv[i + 1]), i++;
        else if (settings->number)
            status = fail(STATUS_USAGE, "top takes one process, '%s' was given as well", argv[i]);
        else if (!(settings->number = process_number(argv[i])))
            status = fail(STATUS_USAGE, "top: '%s' is no number of a process", argv[i]);
        if (status)
            return status;
    }
    return 0;
}

/* ---- rounds for a pipe --------------------------------------------------------------------------------------------- */

static void print_text(struct watch *watch)
{
    struct sheet sheet = {.columns = PIPE_COLUMNS, .is_wide = sheet_locale_is_wide()};

    if (watch->one) {
        top_text_events(&sheet, &watch->events, WATCH_EVENTS);
        top_text_one(&sheet, watch->all[0], 0);
    } else {
        top_sort(watch, 0);
        top_text_all(&sheet, watch, 0, 0, 0);
    }
    for (size_t i = 0; i < sheet.count; i++)
        puts(sheet.lines[i].text);
    sheet_free(&sheet);
}

static void sleep_for(double seconds)
{
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    while (nanosleep(&left, &left) && errno == EINTR)
        continue;
}

/* The end of the one process that is watched ends the rounds. */
static int print_rounds(const struct settings *settings, struct watch *watch)
{
    for (long round = 0; !settings->rounds || round < settings->rounds; round++) {
        if (round) {
            sleep_for(settings->interval);
            if (!settings->is_json)
                putchar('\n');
        }
        if (!watch_look(watch))
            return fail(EXIT_FAILURE, "top: %s", strerror(errno));
        if (watch->one && watch->count == 0)
            return fail(EXIT_FAILURE, "process %d has ended", watch->kept);
        if (settings->is_json)
            top_json(watch);
        else
            print_text(watch);
        if (fflush(stdout))
            return EXIT_FAILURE;
        if (watch->one && watch->all[0]->gone)
            return fail(EXIT_FAILURE, "process %d %s", watch->kept, watch->events.list[0].what);
    }
    return EXIT_SUCCESS;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static int watch_on(const struct settings *settings, struct watch *watch)
{
    if (settings->is_batch || settings->is_json)
        return print_rounds(settings, watch);
    return top_view(watch, settings->interval, sheet_locale_is_wide());
}

static int run(int argc, char **argv)
{
    struct settings settings = {.interval = 2};
    struct watch watch = {0};
    int status = read_arguments(&settings, argc, argv);

    if (status)
        return status;
    if (!settings.is_batch && !settings.is_json && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
        return fail(STATUS_USAGE, "top needs a terminal; without one use --batch ROUNDS, or --json");
    if (settings.number) {
        static struct counts counts;

        status = counts_read(settings.number, &counts);
        if (status)
            return status;
        watch.kept = settings.number;
        watch.one = true;
    }
    status = watch_on(&settings, &watch);
    watch_free(&watch);
    return status;
}

static const struct command_option own_options[] = {{"--batch", "N"}, {"--interval", "S"}, {"--json", NULL}, {NULL, NULL}};

const struct command command_top = {
    .name = "top",
    .arguments = "[OPTIONS] [PID]",
    .summary = "Watch processes that run on the library, or one",
    .details = "Without PID: all processes that run on libmyalloc and may be read, and how many may not. The kernel must\n"
               "allow it (process_vm_readv): the same user, or root; see ptrace(2) on\n"
               "/proc/sys/kernel/yama/ptrace_scope. None is stopped. With PID: that one, with its classes.\n"
               "\n"
               "  --batch N         print N rounds as text, for scripts and pipes; of the first one rates are not known\n"
               "  --json            print an object a round, one line each, until it is ended or --batch's N are over\n"
               "  --interval S      seconds between rounds, from 0.1 to 3600; 2\n"
               "\n"
               "On the terminal: q quits, s sorts by the next column, arrows choose, Enter shows one process, Escape\n"
               "goes back, h explains the columns. NO_COLOR is respected. Keys have the process that is chosen do what\n"
               "'myalloc ctl' does: p purge, t trim, o profile on, f profile off, d profile dump, w withdraw; what came\n"
               "of it stands above the row of keys. None destroys anything, so none asks.\n"
               "\n"
               "LIVE is what blocks have that are not free, or lie on lists of threads; DIRTY is free memory that the\n"
               "system has not got back; HOLES is free memory in spans of small blocks.\n",
    .options = own_options,
    .run = run,
};
