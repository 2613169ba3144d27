/* SPDX-License-Identifier: MIT */
/* `myalloc profile [OPTIONS] [--] PROGRAM [ARGUMENTS]`: as `myalloc run`, with the options that have the library write a heap
   profile when the program ends, and before. `myalloc profile PID on|dump|off` is profile_process.c. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "kit/tunables.h"
#include "message.h"
#include "process.h"
#include "profile_process.h"

/* Options of the command, each with the library's that it sets. */
static const struct {
    const char *name, *tunable;
} options[] = {{"--interval", "profile_interval"}, {"--seed", "profile_seed"}, {"--out", "profile_out"},
               {"--growth", "profile_growth"}, {"--every", "profile_every_ms"}, {"--peak", "profile_peak"}};

enum { OPTIONS = sizeof options / sizeof options[0], OUT = 2, EVERY = 4, PEAK = 5 };

static const struct tunable *tunable_named(const char *name)
{
    size_t row = 0;

    while (strcmp(tunables_rows[row].name, name))
        row++;
    return &tunables_rows[row];
}

/* What is wrong with the value, by the library's own parser, or NULL. */
static const char *look(size_t option, const char *value)
{
    struct tunables trial = tunables;

    return tunables_set_text(&trial, tunable_named(options[option].tunable), value, strlen(value));
}

static size_t find(const char *name)
{
    size_t option = 0;

    while (option < OPTIONS && strcmp(options[option].name, name))
        option++;
    return option;
}

/* Milliseconds of "30s", "5m", "1h", "500ms" or "30"; NULL if it is none of these. */
static const char *milliseconds(const char *text)
{
    static const struct {
        const char *name;
        unsigned long ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
    static char value[32];
    char *end;
    double number = strtod(text, &end);

    for (size_t i = 0; i < sizeof units / sizeof *units && *text >= '0' && *text <= '9'; i++) {
        if (strcmp(end, units[i].name) || number * (double)units[i].ms < 1 || number > 1e9)
            continue;
        snprintf(value, sizeof value, "%.0f", number * (double)units[i].ms);
        return value;
    }
    return NULL;
}

/* A file without %p is that of the program alone, whose process this one becomes: those that it starts put their numbers behind
   the name, lest each writes over what another has written. */
static const char *for_this_process(const char *path)
{
    static char name[TUNABLE_TEXT_MAX + 16];

    if (!path || strstr(path, "%p") || strstr(path, "%="))
        return path;
    snprintf(name, sizeof name, "%s%%=%d", path, getpid());
    return name;
}

/* The end by a signal writes the profile, too, unless the user's own options say otherwise. These stand behind that, and the
   command's behind both: what comes later counts. */
static int set_options(const char *const values[OPTIONS])
{
    const char *others = getenv("MYALLOC_OPTIONS");
    char list[TUNABLE_TEXT_MAX + 200] = "profile:1", *value;
    size_t used = strlen(list);
    int failed;

    for (size_t i = 0; i < OPTIONS; i++) {
        const char *quote = !values[i] ? "" : strchr(values[i], '"') ? "'" : strpbrk(values[i], ",'") ? "\"" : "";

        if (values[i])
            used += (size_t)snprintf(list + used, sizeof list - used, ",%s:%s%s%s", options[i].tunable, quote, values[i],
                                     quote);
    }
    if (asprintf(&value, "at_signals:on%s%s,%s", others && *others ? "," : "", others ? others : "", list) < 0)
        return -1;
    failed = setenv("MYALLOC_OPTIONS", value, 1);
    free(value);
    return failed;
}

/* Becomes `myalloc run`: "run -- PROGRAM ARGUMENTS". */
static int hand_on(int argc, char **argv, int first)
{
    static char name[] = "run", end[] = "--";
    char **run = calloc((size_t)(argc - first) + 3, sizeof *run);

    if (!run)
        return fail(STATUS_CANNOT_PRELOAD, "%s", strerror(errno));
    run[0] = name;
    run[1] = end;
    memcpy(run + 2, argv + first, (size_t)(argc - first) * sizeof *run);
    return command_run.run(argc - first + 2, run);
}

/* Returns where the options end; -1 if they are wrong, and it has been told. */
static int read_options(int argc, char **argv, const char *values[OPTIONS])
{
    int at = 1;

    for (; at < argc && argv[at][0] == '-' && strcmp(argv[at], "--"); at++) {
        const char *name = argv[at], *value = "on", *wrong;
        size_t option = find(name);

        if (option == OPTIONS)
            return fail(-1, "profile: %s goes with the number of a process, which stands before it", name);
        if (option != PEAK)
            at++, value = option == EVERY ? milliseconds(argv[at]) : argv[at];
        wrong = value ? look(option, value) : "is no time from 1ms to 24h: 30s, 5m";
        if (wrong)
            return fail(-1, "%s: %s %s", name, argv[at], wrong);
        values[option] = value;
    }
    return at;
}

static int profile(int argc, char **argv)
{
    const char *values[OPTIONS] = {NULL};
    int at;

    at = read_options(argc, argv, values);
    if (at < 0)
        return STATUS_CANNOT_PRELOAD;
    if (at < argc && process_is_number(argv[at])) {
        if (at == 1)
            return profile_process(argc - at, argv + at);
        return fail(STATUS_USAGE, "profile: %s goes with a program to start, not with process %s; put '--' before a program "
                    "of that name", argv[1], argv[at]);
    }
    if (at < argc && !strcmp(argv[at], "--"))
        at++;
    if (at >= argc)
        return fail(STATUS_CANNOT_PRELOAD, "profile needs the program to start; see 'myalloc help profile'");
    values[OUT] = for_this_process(values[OUT]);
    if (set_options(values))
        return fail(STATUS_CANNOT_PRELOAD, "cannot set MYALLOC_OPTIONS: %s", strerror(errno));
    return hand_on(argc, argv, at);
}

static const struct command_option own_options[] = {{"--interval", "BYTES"}, {"--seed", "N"}, {"--out", "FILE"},
    {"--every", "TIME"}, {"--growth", "BYTES"}, {"--peak", NULL}, {"--for", "SECONDS"}, {"--wait", "SECONDS"}, {NULL, NULL}};

const struct command command_profile = {
    .name = "profile",
    .arguments = "[OPTIONS] PROGRAM...|PID WHAT",
    .summary = "Write who allocated what, of a program or a process",
    .details = "As 'myalloc run'; a sample of allocations is recorded with their call stacks and written when the program\n"
               "ends by exit or by SIGTERM, SIGINT, SIGHUP or abort, as a heap profile that 'go tool pprof' and google-pprof\n"
               "read. at_signals:off in MYALLOC_OPTIONS leaves signals alone, as does a program that handles one itself.\n"
               "\n"
               "  --interval BYTES  one byte in about so many is sampled: 512k; 1 records all blocks\n"
               "  --seed N          what the choice of samples depends on; 0, another one each time\n"
               "  --out FILE        where to write: NAME.PID.heap in this folder; %p is the process id, %b the program's name\n"
               "  --every TIME      write it while the program runs, each 30s, 5m, 1h: to FILE.0001, FILE.0002, ...\n"
               "  --growth BYTES    the same each time that what is live has grown by so much over the most before: 64m\n"
               "                    After each 100 files the time and the growth double\n"
               "  --peak            replace FILE while what is live grows: 'myalloc report --peak' then has the peak, but for\n"
               "                    an eighth or 1m, even if the program is killed\n"
               "\n"
               "They are the library's options profile_interval, profile_seed, profile_out, profile_every_ms, profile_growth\n"
               "and profile_peak, and count more than those in MYALLOC_OPTIONS. Programs that the program starts write\n"
               "profiles, too.\n"
               "\n"
               "'myalloc profile PID WHAT' has a process that runs on the library already, as 'myalloc ctl' does:\n"
               "\n"
               "  on                record a sample of allocations from now on, at its option profile_interval\n"
               "  dump              write what was recorded to the file that its option profile_out names\n"
               "  off               end that; what was recorded stays\n"
               "  --for SECONDS     all of them: on, a while (an interrupt ends it), dump, off, unless it was on before\n"
               "  --wait SECONDS    how long to wait for each answer: 2\n"
               "\n"
               "Exit status for a process: 0 done, 1 it cannot be, 2 wrong usage, 4 pending, 5 busy, as of 'myalloc ctl'.\n",
    .options = own_options,
    .is_program = process_is_no_number,
    .wrong_status = STATUS_CANNOT_PRELOAD,
    .run = profile,
};
