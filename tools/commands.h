/* SPDX-License-Identifier: MIT */
/* The table of subcommands: one file and one row each. To add one, write its file, declare it in command.h and put it into
   the table in commands.c; `myalloc help` and the dispatch follow the table. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "command.h"

/* The row called `name`, or NULL. */
const struct command *commands_find(const char *name);

/* Tells that there is none of that name, and which one is meant perhaps. Returns the exit status. */
int commands_say_unknown(const char *name);

/* The list of all subcommands, to standard output. */
void commands_print_overview(void);

#endif
