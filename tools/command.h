/* SPDX-License-Identifier: MIT */
/* What a subcommand of `myalloc` is. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include <stdbool.h>

struct command_option {
    const char *name;  /* with its dashes; NULL ends the table */
    const char *takes; /* what its value is, as its help calls it, or NULL for none */
};

struct command {
    const char *name;
    const char *arguments; /* as shown behind the name in a usage line, "" for none */
    const char *summary;   /* one line, no full stop */
    const char *details;   /* paragraphs for `myalloc help NAME`, each line ended by \n, or NULL */
    const struct command_option *options; /* beside --help, which each has; NULL: no other one */
    bool (*is_program)(const char *word); /* whether the first word that is no option is a program, behind which options are the
                                             program's; NULL: words and options come in any order */
    bool hands_on;    /* run gets the arguments as they are written */
    int wrong_status; /* for options before the first word that are wrong; 0: STATUS_USAGE, as behind it */
    /* argv[0] is the subcommand's name. Options in argv are in the table, each with its value behind it as the next word, which
       is not empty. The result is the exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct command command_advise, command_compare, command_ctl, command_metrics, command_options, command_profile,
    command_record, command_replay, command_report, command_run, command_show, command_symbolize, command_top, command_version,
    command_why;

/* Its usage line, summary and details, to standard output. */
void command_print_help(const struct command *command);

/* Checks the options and runs it, or prints its help if that is asked for: `--option=value` is the same as `--option value`.
   What stands behind a word `--` is no option. The result is the exit status. */
int command_start(const struct command *command, int argc, char **argv);

/* Each word that may be a program. */
bool command_any_program(const char *word);

#endif
