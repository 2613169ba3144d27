/* SPDX-License-Identifier: MIT */
/* The subcommands of `myalloc`: one file and one row of `commands` each. To add one, write its file, declare
   it here and put it into the table in myalloc.c; `myalloc help` and the dispatch follow the table. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

struct command {
    const char *name;
    const char *arguments; /* as shown behind the name in a usage line, "" for none */
    const char *summary;   /* one line, no full stop */
    const char *details;   /* paragraphs for `myalloc help NAME`, each line ended by \n, or NULL */
    /* argv[0] is the subcommand's name. The result is the exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct command command_compare, command_help, command_options, command_run, command_version;

extern const struct command *const commands[]; /* ends with NULL */

/* The row called `name`, or NULL. */
const struct command *command_find(const char *name);

void command_print_help(const struct command *command);

#endif
