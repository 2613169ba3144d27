/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "message.h"
#include "spelling.h"

/* A command line while it is read. */
struct line {
    const struct command *command;
    char **words; /* as the command gets them */
    int count;
    bool has_word, wants_help;
};

void command_print_help(const struct command *command)
{
    printf("usage: myalloc %s %s\n\n%s.\n", command->name, command->arguments, command->summary);
    if (command->details)
        printf("\n%s", command->details);
}

bool command_any_program(const char *word)
{
    (void)word;
    return true;
}

/* Tells that the command has no such option. */
static void say_unknown(const struct line *line, const struct spelling *spelling)
{
    const char *name = line->command->name;
    bool may_be_program = line->command->is_program && !line->has_word;
    char *help = memory_format(may_be_program ? "see 'myalloc help %s', and put '--' before a program of that name"
                                              : "see 'myalloc help %s'", name);

    fail_in(0, name, "there is no option '%s'; %s", spelling->word, spelling_hint(spelling, help));
    free(help);
}

/* The row whose name is the first `length` bytes of a word. NULL, and it has been told, if there is none. */
static const struct command_option *find(const struct line *line, const char *word, size_t length)
{
    static const struct command_option help[] = {{"--help", NULL}, {"-h", NULL}, {NULL, NULL}};
    const struct command_option *const tables[] = {help, line->command->options};
    char *name = memory_copy(word, length);
    struct spelling spelling = spelling_start(name);

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const struct command_option *option = tables[i]; option && option->name; option++) {
            if (!strcmp(option->name, name))
                return free(name), option;
            spelling_offer(&spelling, option->name);
        }
    }
    say_unknown(line, &spelling);
    free(name);
    return NULL;
}

/* Puts an option and its value behind the words: what stands at argv[0]. Returns how many words that were; 0, and it has been
   told, if something is wrong with them. */
static int take_option(struct line *line, int argc, char **argv)
{
    const struct command *command = line->command;
    char *equals = strchr(argv[0], '='), *next = argc > 1 && strcmp(argv[1], "--") ? argv[1] : NULL;
    char *value = equals ? equals + 1 : next;
    const struct command_option *option = find(line, argv[0], equals ? (size_t)(equals - argv[0]) : strlen(argv[0]));

    if (!option)
        return 0;
    if (!option->takes && equals)
        return fail_in(0, command->name, "%s takes no value, '%s' was given", option->name, value);
    if (option->takes && (!value || !*value))
        return fail_in(0, command->name, "%s needs a value: %s; see 'myalloc help %s'", option->name, option->takes,
                       command->name);
    line->wants_help |= !strcmp(option->name, "--help") || !strcmp(option->name, "-h");
    line->words[line->count++] = argv[0];
    if (equals && command->hands_on)
        return 1;
    if (equals)
        *equals = '\0';
    if (option->takes)
        line->words[line->count++] = value;
    return option->takes && !equals ? 2 : 1;
}

/* False, and it has been told, if the options are wrong. */
static bool take_words(struct line *line, int argc, char **argv)
{
    bool is_over = false; /* options of the command */
    int at = 1;

    while (at < argc) {
        int taken = 1;

        if (is_over || argv[at][0] != '-' || !argv[at][1]) {
            line->has_word = true;
            is_over |= line->command->is_program && line->command->is_program(argv[at]);
            line->words[line->count++] = argv[at];
        } else if (!strcmp(argv[at], "--")) {
            is_over = true;
            line->words[line->count++] = argv[at];
        } else {
            taken = take_option(line, argc - at, argv + at);
        }
        if (!taken)
            return false;
        at += taken;
    }
    return true;
}

int command_start(const struct command *command, int argc, char **argv)
{
    struct line line = {command, memory_new(2 * (size_t)argc * sizeof(char *) + sizeof(char *)), 1, false, false};

    line.words[0] = argv[0];
    if (!take_words(&line, argc, argv))
        return line.has_word || !command->wrong_status ? STATUS_USAGE : command->wrong_status;
    if (line.wants_help) {
        command_print_help(command);
        return EXIT_SUCCESS;
    }
    return command->run(line.count, line.words);
}
