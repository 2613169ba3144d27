/* SPDX-License-Identifier: MIT */
/* What a subcommand of `myalloc` is. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

struct command {
    const char *name;
    const char *arguments; /* as shown behind the name in a usage line, "" for none */
    const char *summary;   /* one line, no full stop */
    const char *details;   /* paragraphs for `myalloc help NAME`, each line ended by \n, or NULL */
    /* argv[0] is the subcommand's name. The result is the exit status. */
    int (*run)(int argc, char **argv);
};

extern const struct command command_compare, command_ctl, command_metrics, command_options, command_profile, command_report,
    command_run, command_symbolize, command_top, command_version, command_why;

/* Its usage line, summary and details, to standard output. */
void command_print_help(const struct command *command);

#endif
