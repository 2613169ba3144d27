/* SPDX-License-Identifier: MIT */
/* `myalloc help [COMMAND]` */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "message.h"

static void print_overview(void)
{
    puts("usage: myalloc COMMAND [ARGUMENTS]\n");
    for (size_t i = 0; commands[i]; i++)
        printf("  %-9s %-33s %s\n", commands[i]->name, commands[i]->arguments, commands[i]->summary);
    puts("\n'myalloc help COMMAND' says more about one of them.");
}

void command_print_help(const struct command *command)
{
    if (!command) {
        print_overview();
        return;
    }
    printf("usage: myalloc %s %s\n\n%s.\n", command->name, command->arguments, command->summary);
    if (command->details)
        printf("\n%s", command->details);
}

static int run(int argc, char **argv)
{
    const struct command *command = NULL;

    if (argc > 1) {
        command = command_find(argv[1]);
        if (!command)
            return fail(STATUS_USAGE, "there is no command '%s'; 'myalloc help' lists them", argv[1]);
    }
    command_print_help(command);
    return EXIT_SUCCESS;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "List the commands, or explain one",
    .run = run,
};
