/* SPDX-License-Identifier: MIT */
#include "replaying.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "memory.h"
#include "message.h"
#include "plan.h"

#define REPLAYER "myalloc-replay"

enum { WRONG_BYTES = 256 };

static const struct command_option *option_of(const struct command_option *options, const char *word)
{
    while (options->name && strcmp(options->name, word))
        options++;
    return options->name ? options : NULL;
}

int replaying_take_files(const struct command_option *options, int *argc, char **argv, char **file)
{
    bool words = false;
    int kept = 1, count = 0;

    for (int i = 1; i < *argc; i++) {
        const struct command_option *option = words ? NULL : option_of(options, argv[i]);
        if (option) {
            argv[kept++] = argv[i];
            if (option->takes)
                argv[kept++] = argv[++i];
        } else if (!words && !strcmp(argv[i], "--")) {
            words = true;
        } else {
            *file = argv[i];
            count++;
        }
    }
    for (int i = kept; i < *argc; i++)
        argv[i] = NULL;
    *argc = kept;
    return count;
}

int replaying_find(const char *command, struct replaying *parts)
{
    int status = library_find(&parts->library);

    if (status)
        return status;
    if (!library_find_private(REPLAYER, parts->replayer))
        return fail_in(STATUS_CANNOT_PRELOAD, command, "cannot find " REPLAYER " beside this command, in ../lib/myalloc or in "
                       MYALLOC_LIBDIR "/myalloc");
    if (!harness_find(command, parts->harness))
        return fail_in(STATUS_CANNOT_PRELOAD, command, "cannot find bench/%s in .. or ../share/myalloc from this command",
                       command);
    return 0;
}

char *replaying_temporary(const char *name)
{
    const char *folder = getenv("TMPDIR");

    return memory_format("%s/%s.XXXXXX", folder && *folder ? folder : "/tmp", name);
}

static FILE *open_plan(void)
{
    char *path = replaying_temporary("myalloc-plan");
    int fd = mkstemp(path);

    if (fd >= 0)
        unlink(path);
    free(path);
    return fd < 0 ? NULL : fdopen(fd, "w+");
}

/* Where the harness finds the plan that it inherits. */
static int hand_on(const char *command, FILE *plan)
{
    char *name = memory_format("/dev/fd/%d", fileno(plan));
    int status = 0;

    if (fcntl(fileno(plan), F_SETFD, 0) || setenv("MYALLOC_PLAN", name, 1))
        status = fail_in(EXIT_FAILURE, command, "cannot hand on a file: %s", strerror(errno));
    free(name);
    return status;
}

/* 0 if the recording has what the options ask for. */
static int check_wants(const char *command, const struct recording *recording, char *const *argv)
{
    for (; *argv; argv++) {
        if (!strcmp(*argv, "--touch") && !strcmp(argv[1], "recorded") && !recording->tells_touched)
            return fail_in(STATUS_USAGE, command, "--touch recorded: '%s' does not tell what was touched; %s", recording->path,
                           recording->source[0] || recording->is_attached ? "touch all or none"
                                                                          : "record it anew, or touch all or none");
        if (!strcmp(*argv, "--pace") && !recording->has_times)
            return fail_in(STATUS_USAGE, command,
                           "--pace: '%s' has no gaps between calls, as it was made of %s; leave it out",
                           recording->path, recording->source);
    }
    if (!recording->has_times && setenv("MYALLOC_PLAN_TIMELESS", "1", 1))
        return fail_in(EXIT_FAILURE, command, "cannot set the environment: %s", strerror(errno));
    return 0;
}

int replaying_make_plan(const char *command, const char *path, char *const *argv)
{
    struct recording recording;
    char wrong[WRONG_BYTES];
    const char *damage;
    int status;
    FILE *plan;

    if (!recording_open(&recording, path, wrong))
        return fail_in(EXIT_FAILURE, command, "cannot read '%s': %s", path, wrong);
    if (recording.lost)
        fail_in(0, command, "'%s': the last %lld bytes are no whole frame, and are left out", path, (long long)recording.lost);
    if (!recording.count)
        return fail_in(EXIT_FAILURE, command, "'%s' has no calls to replay", path);
    status = check_wants(command, &recording, argv);
    if (status)
        return status;
    plan = open_plan();
    if (!plan)
        return fail_in(EXIT_FAILURE, command, "cannot make a file in $TMPDIR or /tmp: %s", strerror(errno));
    damage = plan_write(plan, &recording);
    if (damage)
        return fail_in(EXIT_FAILURE, command, "cannot make a plan of '%s': %s", path, damage);
    return hand_on(command, plan);
}

int replaying_become_harness(const char *command, const struct replaying *parts, char **argv)
{
    char *name = memory_format("myalloc %s", command);

    if (setenv("MYALLOC_LIBRARY", parts->library.path, 1) || setenv("MYALLOC_BENCH_NAME", name, 1) ||
        setenv("MYALLOC_REPLAYER", parts->replayer, 1))
        return fail_in(STATUS_CANNOT_PRELOAD, command, "cannot set the environment: %s", strerror(errno));
    argv[0] = memory_copy(parts->harness, strlen(parts->harness));
    execv(parts->harness, argv);
    return fail_in(STATUS_CANNOT_PRELOAD, command, "%s: %s; it needs /usr/bin/python3", parts->harness, strerror(errno));
}
