/* SPDX-License-Identifier: MIT */
/* `myalloc profile [--interval BYTES] [--seed N] [--out FILE] [--] PROGRAM [ARGUMENTS]`: as `myalloc run`, with the options
   that have the library write a heap profile when the program ends. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "kit/tunables.h"
#include "message.h"

/* Options of the command, each with the library's that it sets. */
static const struct {
    const char *name, *tunable;
} options[] = {{"--interval", "profile_interval"}, {"--seed", "profile_seed"}, {"--out", "profile_out"}};

enum { OPTIONS = sizeof options / sizeof options[0] };

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

/* The user's own options, then these, which count more. */
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
    if (asprintf(&value, "%s%s%s", others ? others : "", others && *others ? "," : "", list) < 0)
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

static int profile(int argc, char **argv)
{
    const char *values[OPTIONS] = {NULL};
    int at = 1;

    if (argc > 1 && !strcmp(argv[1], "--help")) {
        command_print_help(&command_profile);
        return EXIT_SUCCESS;
    }
    for (; at < argc && argv[at][0] == '-' && strcmp(argv[at], "--"); at += 2) {
        size_t option = find(argv[at]);
        const char *wrong = option < OPTIONS && at + 1 < argc ? look(option, argv[at + 1]) : NULL;

        if (option == OPTIONS)
            return fail(STATUS_CANNOT_PRELOAD, "profile has no option '%s'; put '--' before a program of that name", argv[at]);
        if (at + 1 == argc)
            return fail(STATUS_CANNOT_PRELOAD, "%s needs a value", argv[at]);
        if (wrong)
            return fail(STATUS_CANNOT_PRELOAD, "%s: %s %s", argv[at], argv[at + 1], wrong);
        values[option] = argv[at + 1];
    }
    if (at < argc && !strcmp(argv[at], "--"))
        at++;
    if (at >= argc)
        return fail(STATUS_CANNOT_PRELOAD, "profile needs the program to start; see 'myalloc help profile'");
    if (set_options(values))
        return fail(STATUS_CANNOT_PRELOAD, "cannot set MYALLOC_OPTIONS: %s", strerror(errno));
    return hand_on(argc, argv, at);
}

const struct command command_profile = {
    .name = "profile",
    .arguments = "[OPTIONS] PROGRAM [ARGUMENTS]",
    .summary = "Run a program, and write who allocated what",
    .details = "As 'myalloc run'; a sample of allocations is recorded with their call stacks and written when the program\n"
               "ends by exit, as a heap profile that 'go tool pprof' and google-pprof read.\n"
               "\n"
               "  --interval BYTES  one byte in about so many is sampled: 512k; 1 records all blocks\n"
               "  --seed N          what the choice of samples depends on; 0, another one each time\n"
               "  --out FILE        where to write: NAME.PID.heap in this folder; %p is the process id, %b the program's name\n"
               "\n"
               "They are the library's options profile_interval, profile_seed and profile_out, and count more than those\n"
               "in MYALLOC_OPTIONS. Programs that the program starts write profiles, too.\n",
    .run = profile,
};
