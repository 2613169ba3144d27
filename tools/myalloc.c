/* SPDX-License-Identifier: MIT */
/* The `myalloc` command: finds the subcommand in the table and hands over to it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "message.h"

const struct command *const commands[] = {&command_run,  &command_compare, &command_options,
                                          &command_help, &command_version, NULL};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++) {
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    }
    return NULL;
}

/* `myalloc --help` and `myalloc --version` are what people try first. */
static const char *without_dashes(const char *name)
{
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        return "help";
    return strcmp(name, "--version") ? name : "version";
}

int main(int argc, char **argv)
{
    const struct command *command;
    int status;

    if (argc < 2) {
        command_print_help(NULL);
        return STATUS_USAGE;
    }
    command = command_find(without_dashes(argv[1]));
    if (!command)
        return fail(STATUS_USAGE, "there is no command '%s'; 'myalloc help' lists them", argv[1]);
    status = command->run(argc - 1, argv + 1);
    if (fflush(stdout) || ferror(stdout))
        return fail(EXIT_FAILURE, "cannot write: %s", strerror(errno));
    return status;
}
