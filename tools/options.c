/* SPDX-License-Identifier: MIT */
/* `myalloc options`: every tunable of the library, from the library's own table and parser. */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "json_text.h"
#include "kit/environment.h"
#include "message.h"
#include "spelling.h"
#include "base/myalloc.h"
#include "kit/tunables.h"

enum { WIDTH = 96, INDENT = 4, SHOWN = TUNABLE_TEXT_MAX + 3, NAMES = 160 };

/* What the library's table leaves out because programs have no use for it. */
static const struct {
    const char *parameter, *meaning;
} texts[] = {
#define TUNABLE(name, kind, value, least, most, parameter, glibc, variable, meaning) {#parameter, meaning},
#include "kit/tunables.def"
#undef TUNABLE
};

/* The values as they are without any environment: what the program is linked with. */
static struct tunables now;

static const char *parameter_of(size_t row)
{
    return tunables_rows[row].parameter ? texts[row].parameter : "";
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

/* Prints a paragraph with a margin, broken between words. */
static void print_wrapped(const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column > 0 && column + 1 + word > WIDTH - INDENT) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%*s%.*s", column ? 1 : INDENT, "", (int)word, text) - (column ? 0 : INDENT);
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* The parameter of mallopt, the tunable and the variable, as far as there are. Returns `names`. */
static const char *other_names(size_t row, char names[NAMES])
{
    const struct tunable *tunable = &tunables_rows[row];
    size_t used = 0;

    names[0] = '\0';
    if (tunable->parameter)
        used = (size_t)snprintf(names, NAMES, "%s", parameter_of(row));
    if (tunable->glibc[0])
        used += (size_t)snprintf(names + used, NAMES - used, "%sglibc.malloc.%s", used ? ", " : "", tunable->glibc);
    if (tunable->variable[0])
        snprintf(names + used, NAMES - used, "%s%s", used ? ", " : "", tunable->variable);
    return names;
}

static void print_tunable(size_t row) {
    const struct tunable *tunable = &tunables_rows[row];
    char initial[SHOWN], current[SHOWN], allowed[96], names[NAMES];

    tunables_value(&tunables, tunable, initial, sizeof initial);
    tunables_value(&now, tunable, current, sizeof current);
    printf("%s: %s", tunable->name, *current ? current : "not set");
    if (strcmp(initial, current))
        printf("   (default: %s)", *initial ? initial : "not set");
    putchar('\n');
    print_wrapped(texts[row].meaning);
    printf("%*sTakes: %s\n", INDENT, "", tunables_allowed(tunable, allowed, sizeof allowed));
    if (*other_names(row, names))
        printf("%*sAlso: %s\n", INDENT, "", names);
}

static void print_all(void)
{
    puts("MYALLOC_OPTIONS=key:value,key:value sets these; sizes take k, m, g and t. 'Also' names other ways.\n"
         "The values are those that a program started from here would get.\n");
    for (size_t row = 0; row < TUNABLES; row++) {
        if (row)
            putchar('\n');
        print_tunable(row);
    }
}

/* ---- for machines ------------------------------------------------------------------------------------------------ */

static void print_json_field(const char *key, const char *value, const char *end)
{
    printf("\"%s\": ", key);
    json_text(stdout, value);
    fputs(end, stdout);
}

static void print_json(void)
{
    char text[SHOWN], allowed[96];

    puts("[");
    for (size_t row = 0; row < TUNABLES; row++) {
        const struct tunable *tunable = &tunables_rows[row];

        printf("{");
        print_json_field("key", tunable->name, ", ");
        print_json_field("default", tunables_value(&tunables, tunable, text, sizeof text), ", ");
        print_json_field("value", tunables_value(&now, tunable, text, sizeof text), ", ");
        print_json_field("takes", tunables_allowed(tunable, allowed, sizeof allowed), ",\n ");
        print_json_field("mallopt", parameter_of(row), ", ");
        print_json_field("tunable", tunable->glibc, ", ");
        print_json_field("variable", tunable->variable, ",\n ");
        print_json_field("meaning", texts[row].meaning, row + 1 < TUNABLES ? "},\n" : "}\n");
    }
    puts("]");
}

/* The table of README.md. */
static void print_markdown(void)
{
    char value[SHOWN], names[NAMES];

    puts("| key | default | meaning | other names |\n|--|--|--|--|");
    for (size_t row = 0; row < TUNABLES; row++) {
        tunables_value(&tunables, &tunables_rows[row], value, sizeof value);
        printf("| %s | %s | %s | %s |\n", tunables_rows[row].name, value, texts[row].meaning, other_names(row, names));
    }
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static void complain(const char *line)
{
    fprintf(stderr, "myalloc: %s\n", line);
}

static int print_named(int count, char **names)
{
    for (int i = 0; i < count; i++) {
        struct spelling spelling = spelling_start(names[i]);
        size_t row = 0;

        for (; row < TUNABLES && strcmp(tunables_rows[row].name, names[i]); row++)
            spelling_offer(&spelling, tunables_rows[row].name);
        if (row == TUNABLES)
            return fail(STATUS_USAGE, "there is no option '%s'; %s", names[i],
                        spelling_hint(&spelling, "'myalloc options' lists them"));
        if (i)
            putchar('\n');
        print_tunable(row);
    }
    return EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
    now = tunables;
    environment_apply(environ, &now, complain);
    if (argc > 1 && argv[1][0] != '-')
        return print_named(argc - 1, argv + 1);
    if (argc > 2)
        return fail(STATUS_USAGE, "options takes one of --json and --markdown, or names");
    if (argc == 1)
        print_all();
    else if (!strcmp(argv[1], "--json"))
        print_json();
    else
        print_markdown();
    return EXIT_SUCCESS;
}

static const struct command_option own_options[] = {{"--json", NULL}, {"--markdown", NULL}, {NULL, NULL}};

const struct command command_options = {
    .name = "options",
    .arguments = "[--json|--markdown|NAME...]",
    .summary = "Print every option, its value, default and meaning",
    .details = "Options come, in rising precedence, from glibc's older variables (MALLOC_TOP_PAD_ and others), from\n"
               "GLIBC_TUNABLES=glibc.malloc.NAME=VALUE:..., from MYALLOC_OPTIONS=KEY:VALUE,KEY:VALUE,... and from the\n"
               "program's own calls of mallopt. Of one key given twice in a variable the last counts.\n"
               "\n"
               "The values printed are those of the present environment; what is wrong with it is said on standard\n"
               "error, in the words that the library would use.\n",
    .options = own_options,
    .run = run,
};
