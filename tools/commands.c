/* SPDX-License-Identifier: MIT */
/* The table, and the one subcommand that reads it: `myalloc help [COMMAND]`. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "spelling.h"

static int help(int argc, char **argv);

static const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "List the commands, or explain one",
    .run = help,
};

static const struct command *const commands[] = {&command_run, &command_compare, &command_options, &command_profile,
                                                 &command_report, &command_record, &command_replay, &command_advise,
                                                 &command_show, &command_metrics, &command_top, &command_why, &command_ctl,
                                                 &command_symbolize, &command_help, &command_version, NULL};

const struct command *commands_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++) {
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    }
    return NULL;
}

int commands_say_unknown(const char *name)
{
    struct spelling spelling = spelling_start(name);

    for (size_t i = 0; commands[i]; i++)
        spelling_offer(&spelling, commands[i]->name);
    return fail(STATUS_USAGE, "there is no command '%s'; %s", name, spelling_hint(&spelling, "'myalloc help' lists them"));
}

void commands_print_overview(void)
{
    puts("usage: myalloc COMMAND [ARGUMENTS]\n");
    for (size_t i = 0; commands[i]; i++)
        printf("  %-9s %-33s %s\n", commands[i]->name, commands[i]->arguments, commands[i]->summary);
    puts("\n'myalloc help COMMAND' says more about one of them.");
}

static int help(int argc, char **argv)
{
    const struct command *command;

    if (argc > 2)
        return fail(STATUS_USAGE, "help takes one command, '%s' was given as well", argv[2]);
    if (argc < 2) {
        commands_print_overview();
        return EXIT_SUCCESS;
    }
    command = commands_find(argv[1]);
    if (!command)
        return commands_say_unknown(argv[1]);
    command_print_help(command);
    return EXIT_SUCCESS;
}
