/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdio.h>

void command_print_help(const struct command *command)
{
    printf("usage: myalloc %s %s\n\n%s.\n", command->name, command->arguments, command->summary);
    if (command->details)
        printf("\n%s", command->details);
}
