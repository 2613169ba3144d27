/* SPDX-License-Identifier: MIT */
/* What `myalloc replay` and `myalloc advise` do alike: a plan of a recording, made once, and handed over to the harness in
   bench/, which runs the replayer with it. The plan is a file without a name, which the harness inherits. */
#ifndef TOOLS_REPLAYING_H
#define TOOLS_REPLAYING_H

#include <stdbool.h>

#include "command.h"
#include "library.h"

/* What a replay is made of beside the recording. */
struct replaying {
    char harness[PATH_MAX], replayer[PATH_MAX];
    struct library library;
};

/* Finds it: bench/COMMAND and what that runs. 0, or says what is wrong, as `myalloc COMMAND`, and returns the exit status. */
int replaying_find(const char *command, struct replaying *parts);

/* The pattern of a path in $TMPDIR or /tmp, for mkstemp or mkdtemp. */
char *replaying_temporary(const char *name);

/* Takes the words that belong to no option out of argv, and returns how many they were; `file` is the last of them. Where one
   was taken, there is room behind what is left for another and NULL. */
int replaying_take_files(const struct command_option *options, int *argc, char **argv, char **file);

/* Makes a plan of the recording, for what the options in argv want of it. 0, or says what is wrong, as `myalloc COMMAND`, and
   returns the exit status. */
int replaying_make_plan(const char *command, const char *recording, char *const *argv);

/* Becomes the harness bench/COMMAND, with the arguments from argv[1] on. Comes back only if that cannot be: says why, and
   returns the exit status. */
int replaying_become_harness(const char *command, const struct replaying *parts, char **argv);

#endif
