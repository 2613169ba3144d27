/* SPDX-License-Identifier: MIT */
/* The `myalloc` command: finds the subcommand in the table and hands over to it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "message.h"

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
        commands_print_overview();
        return STATUS_USAGE;
    }
    command = commands_find(without_dashes(argv[1]));
    if (!command)
        return commands_say_unknown(argv[1]);
    status = command_start(command, argc - 1, argv + 1);
    if (fflush(stdout) || ferror(stdout))
        return fail(EXIT_FAILURE, "cannot write: %s", strerror(errno));
    return status;
}
