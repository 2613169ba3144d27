/* SPDX-License-Identifier: MIT */
/* `myalloc replay [OPTIONS] FILE`: makes a plan of a recording, once, and hands over to the harness in bench/, which runs the
   replayer with it under each allocator. The plan is a file without a name, which the harness inherits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "harness.h"
#include "library.h"
#include "memory.h"
#include "message.h"
#include "plan.h"

#define REPLAYER "myalloc-replay"

enum { WRONG_BYTES = 256 };

static FILE *open_plan(void)
{
    const char *folder = getenv("TMPDIR");
    char *path = memory_format("%s/myalloc-plan.XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(path);

    if (fd >= 0)
        unlink(path);
    free(path);
    return fd < 0 ? NULL : fdopen(fd, "w+");
}

/* Returns 0 and the name of the plan for who inherits it, or says what is wrong and returns the exit status. */
static int make_plan(const char *path, char **name)
{
    struct recording recording;
    char wrong[WRONG_BYTES];
    const char *damage;
    FILE *plan;

    if (!recording_open(&recording, path, wrong))
        return fail_in(EXIT_FAILURE, "replay", "cannot read '%s': %s", path, wrong);
    if (recording.lost)
        fail_in(0, "replay", "'%s': the last %lld bytes are no whole frame, and are left out", path, (long long)recording.lost);
    if (!recording.count)
        return fail_in(EXIT_FAILURE, "replay", "'%s' has no calls to replay", path);
    plan = open_plan();
    if (!plan)
        return fail_in(EXIT_FAILURE, "replay", "cannot make a file in $TMPDIR or /tmp: %s", strerror(errno));
    damage = plan_write(plan, &recording);
    if (damage)
        return fail_in(EXIT_FAILURE, "replay", "cannot make a plan of '%s': %s", path, damage);
    if (fcntl(fileno(plan), F_SETFD, 0))
        return fail_in(EXIT_FAILURE, "replay", "cannot hand on a file: %s", strerror(errno));
    *name = memory_format("/dev/fd/%d", fileno(plan));
    return 0;
}

static const struct command_option own_options[] = {{"--alloc", "NAMES"}, {"--runs", "N"}, {"--pace", NULL},
    {"--touch", "WHAT"}, {"--json", "FILE"}, {NULL, NULL}};

static const struct command_option *option_of(const char *word)
{
    const struct command_option *option = own_options;

    while (option->name && strcmp(option->name, word))
        option++;
    return option->name ? option : NULL;
}

/* Moves the one word that belongs to no option to the end, for the harness. NULL if there is none, or another one. */
static const char *take_file(int argc, char **argv)
{
    char *file = NULL;
    bool words = false;
    int kept = 1;

    for (int i = 1; i < argc; i++) {
        const struct command_option *option = words ? NULL : option_of(argv[i]);
        if (option) {
            argv[kept++] = argv[i];
            if (option->takes)
                argv[kept++] = argv[++i];
        } else if (!words && !strcmp(argv[i], "--")) {
            words = true;
        } else if (file) {
            return NULL;
        } else {
            file = argv[i];
        }
    }
    argv[kept] = file;
    if (kept + 1 <= argc)
        argv[kept + 1] = NULL;
    return file;
}

static int run(int argc, char **argv)
{
    char harness[PATH_MAX], replayer[PATH_MAX], *plan = NULL;
    const char *file = take_file(argc, argv);
    struct library library;
    int status = library_find(&library);

    if (status)
        return status;
    if (!file)
        return fail_in(STATUS_USAGE, "replay", "it needs the file of one recording; see 'myalloc help replay'");
    if (!library_find_private(REPLAYER, replayer))
        return fail_in(STATUS_CANNOT_PRELOAD, "replay", "cannot find " REPLAYER " beside this command, in ../lib/myalloc or in "
                       MYALLOC_LIBDIR "/myalloc");
    if (!harness_find("replay", harness))
        return fail_in(STATUS_CANNOT_PRELOAD, "replay", "cannot find bench/replay in .. or ../share/myalloc from this command");
    status = make_plan(file, &plan);
    if (status)
        return status;
    if (setenv("MYALLOC_LIBRARY", library.path, 1) || setenv("MYALLOC_BENCH_NAME", "myalloc replay", 1) ||
        setenv("MYALLOC_REPLAYER", replayer, 1) || setenv("MYALLOC_PLAN", plan, 1))
        return fail_in(STATUS_CANNOT_PRELOAD, "replay", "cannot set the environment: %s", strerror(errno));
    argv[0] = harness;
    execv(harness, argv);
    return fail_in(STATUS_CANNOT_PRELOAD, "replay", "%s: %s; it needs /usr/bin/python3", harness, strerror(errno));
}

const struct command command_replay = {
    .name = "replay",
    .arguments = "[OPTIONS] FILE",
    .summary = "Make a recording's calls under every allocator",
    .details = "The calls of one process, as 'myalloc record' wrote them, by as many threads, under each allocator, in turn.\n"
               "Calls of different threads keep their order where one gives back what another has got. Told are the time in\n"
               "the allocator, with the faults of pages that it has touched for the first time; resident memory at its peak\n"
               "and on average, without what the replay itself needs; and the average over the bytes that were live.\n"
               "\n"
               "  --alloc NAMES     as for 'myalloc compare': names separated by commas, NAME=/path/lib.so; else all that\n"
               "                    there are\n"
               "  --runs N          runs under each allocator (3), of which the medians are told\n"
               "  --pace            keep the gaps between calls; else calls follow each other at once\n"
               "  --touch WHAT      all: write to each page of each block (if it is not given); none: to no block\n"
               "  --json FILE       every run, with memory over time\n"
               "\n"
               "The exit status is 0, 1 if the recording cannot be read or a run failed, 2 if the command line is wrong, 125\n"
               "if a part of the command is missing.\n",
    .options = own_options,
    .run = run,
};
