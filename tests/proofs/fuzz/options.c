/* SPDX-License-Identifier: MIT */
/*
 * The libFuzzer target of the options. An input is an environment: variables NAME=VALUE, each ended by a NUL; one whose
 * name is mallopt, as in mallopt=-3,131072, is such a call instead, made after the environment has been read. What
 * comes of it is compared with a second reader of the same grammar, written for that, which takes nothing but the rows
 * of tunables.def from the first. Run without arguments by a main of its own, it takes files and prints what they mean.
 */
#include <ctype.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/environment.h"
#include "base/myalloc.h"
#include "kit/readonly.h"
#include "kit/tunables.h"

enum { VARIABLES = 24, IGNORED = 4096, LINE_MOST = 400 };

#define REQUIRE(holds, ...)                                                                                            \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            fprintf(stderr, "options: " __VA_ARGS__);                                                                  \
            fputc('\n', stderr);                                                                                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool options_shown;

/* ---- the second reader ------------------------------------------------------------------------------------------- */

struct value {
    size_t number;
    char text[TUNABLE_TEXT_MAX + 1];
};

/* An entry that is to be ignored, and said to be. */
struct ignored {
    const char *variable; /* where it stands */
    enum { NAME, VALUE, LACKS } what; /* is wrong: LACKS, what the option needs is not set */
    const char *name; /* of the tunable, but where the name is wrong */
};

static struct value values[TUNABLES];
static struct ignored ignored[IGNORED];
static size_t ignored_count;
static bool given[TUNABLES]; /* by MYALLOC_OPTIONS */

static void expect_ignored(const char *variable, int what, const char *name) {
    if (ignored_count < IGNORED)
        ignored[ignored_count] = (struct ignored){variable, what, name};
    ignored_count++;
}

/* Of the characters of a set, how many begin a text. */
static size_t run_of(const char *text, size_t length, const char *set) {
    size_t run = 0;
    while (run < length && text[run] != '\0' && strchr(set, text[run]) != NULL)
        run++;
    return run;
}

/* NUMBER: 0xHEX | 0OCTAL | DECIMAL, then K M G or T if `suffix`; as large as fits into 64 bits. */
static bool is_number(const char *text, size_t length, bool suffix, size_t *number) {
    static const char suffixes[] = "kmgtKMGT";
    unsigned __int128 n = 0;
    unsigned radix = 10;
    size_t digits;
    if (length >= 3 && text[0] == '0' && tolower(text[1]) == 'x' && isxdigit((unsigned char)text[2])) {
        text += 2;
        length -= 2;
        radix = 16;
        digits = run_of(text, length, "0123456789abcdefABCDEF");
    } else if (length > 0 && text[0] == '0') {
        radix = 8;
        digits = run_of(text, length, "01234567");
    } else {
        digits = run_of(text, length, "0123456789");
    }
    if (digits == 0 || length > digits + 1)
        return false;
    for (size_t i = 0; i < digits; i++) {
        n = n * radix +
            (isdigit((unsigned char)text[i]) ? (unsigned)text[i] - '0' : (unsigned)tolower(text[i]) - 'a' + 10);
        if (n > SIZE_MAX)
            return false;
    }
    if (length == digits + 1) {
        const char *which = suffix && text[digits] != '\0' ? strchr(suffixes, text[digits]) : NULL;
        if (which == NULL)
            return false;
        n <<= 10 * ((which - suffixes) % 4 + 1);
    }
    *number = (size_t)n;
    return n <= SIZE_MAX;
}

static bool is_word(const char *text, size_t length, const char *word) {
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

static bool is_value(size_t row, const char *text, size_t length, size_t *number) {
    const struct tunable *tunable = &tunables_rows[row];
    bool sized = tunable->kind == TUNABLE_SIZE || tunable->kind == TUNABLE_LIMIT;
    *number = SIZE_MAX;
    bool minus = tunable->glibc[0] != '\0' && is_word(text, length, "-1");
    if (tunable->most == SIZE_MAX && (is_word(text, length, "none") || minus))
        return true;
    *number = LIMIT_CGROUP;
    if (tunable->kind == TUNABLE_LIMIT && is_word(text, length, "cgroup"))
        return true;
    bool choice = tunable->kind == TUNABLE_FLAG || tunable->kind == TUNABLE_CHOICE;
    *number = 0;
    if (choice && is_word(text, length, "off"))
        return true;
    *number = tunable->kind == TUNABLE_FLAG ? 1 : 2;
    if (choice && is_word(text, length, "on"))
        return true;
    *number = 1;
    if (tunable->kind == TUNABLE_CHOICE && is_word(text, length, "auto"))
        return true;
    static const char *const levels[] = {"off", "sample", "check", "paranoid"};
    for (*number = 0; tunable->kind == TUNABLE_LEVEL && *number < 4; ++*number)
        if (is_word(text, length, levels[*number]))
            return true;
    return is_number(text, length, sized, number) && *number >= tunable->least && *number <= tunable->most &&
           (tunable->kind != TUNABLE_LIMIT || *number <= SIZE_LIMIT);
}

/* A file's name, or the number that `stats` takes. */
static bool is_text(size_t row, const char *text, size_t length) {
    static const char blanks[] = " \t\n\v\f\r";
    static const char *const words[] = {"-", "on", "off", "none", "yes", "no", "true", "false"};
    if (length < 1 || length > TUNABLE_TEXT_MAX || strchr(blanks, text[0]) || strchr(blanks, text[length - 1]))
        return false;
    bool minus = text[0] == '-';
    if (length > minus && run_of(text + minus, length - minus, "0123456789") == length - minus)
        return !minus && row == TUNABLE_AT_stats;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(text, length, words[i]))
            return false;
    for (size_t i = 1; i < length; i++)
        for (size_t other = 0; other < TUNABLES; other++) {
            size_t name = strlen(tunables_rows[other].name);
            if (strchr(" \t\n\v\f\r;:", text[i - 1]) && length - i > name && text[i + name] == ':' &&
                memcmp(text + i, tunables_rows[other].name, name) == 0)
                return false;
        }
    return true;
}

static void put(size_t row, size_t number) {
    values[row].number = number;
    if (row == TUNABLE_AT_mmap_threshold || row == TUNABLE_AT_mmap_max || row == TUNABLE_AT_trim_threshold ||
        row == TUNABLE_AT_top_pad)
        values[TUNABLE_AT_dynamic_threshold].number = 0;
    if (row == TUNABLE_AT_hugetlb)
        values[TUNABLE_AT_hugepages].number = number == 0 ? 0 : 2;
}

static void expect_value(const char *variable, size_t row, const char *text, size_t length) {
    const struct tunable *tunable = &tunables_rows[row];
    size_t number;
    bool own = strcmp(variable, "MYALLOC_OPTIONS") == 0, given_before = given[row];
    given[row] = given[row] || own;
    if (tunable->kind == TUNABLE_TEXT && is_text(row, text, length)) {
        memset(values[row].text, 0, sizeof values[row].text);
        memcpy(values[row].text, text, length);
    } else if (tunable->kind != TUNABLE_TEXT && is_value(row, text, length, &number)) {
        put(row, number);
    } else {
        given[row] = given_before;
        expect_ignored(variable, VALUE, tunable->name);
    }
}

/* Options that do nothing by themselves, at values from `least` to `most`: what must be set for them, one letter each: p
 * protect:sample or paranoid, f fault_report beside that, a any protect, c check, l leaks, r profile, s stats, y symbolizer. In
 * the order of the rows. */
static void expect_lacks(void) {
    static const struct {
        size_t row, least, most;
        const char *needs;
    } rows[] = {
        {TUNABLE_AT_mismatch, 0, 0, "ac"},        {TUNABLE_AT_wrong_size, 0, 0, "ac"},
        {TUNABLE_AT_overrun, 0, 0, "ac"},         {TUNABLE_AT_double_free, 0, 0, "ac"},
        {TUNABLE_AT_late_write, 0, 0, "ac"},      {TUNABLE_AT_bad_pointer, 0, 0, "ac"},
        {TUNABLE_AT_sample_interval, 0, SIZE_MAX, "p"}, {TUNABLE_AT_sample_memory, 0, SIZE_MAX, "p"},
        {TUNABLE_AT_fault_report, 1, 1, "p"},     {TUNABLE_AT_fault_stacks, 1, 1, "f"},
        {TUNABLE_AT_symbolizer_seconds, 0, SIZE_MAX, "y"}, {TUNABLE_AT_stack_depth, 0, SIZE_MAX, "aclr"},
        {TUNABLE_AT_leaks_exit, 1, SIZE_MAX, "l"}, {TUNABLE_AT_leaks_suppress, 0, SIZE_MAX, "l"},
        {TUNABLE_AT_at_signals, 1, 1, "aclrs"},   {TUNABLE_AT_profile_interval, 0, SIZE_MAX, "r"},
        {TUNABLE_AT_profile_seed, 0, SIZE_MAX, "r"}, {TUNABLE_AT_profile_out, 0, SIZE_MAX, "r"},
        {TUNABLE_AT_profile_every_ms, 1, SIZE_MAX, "r"}, {TUNABLE_AT_profile_growth, 1, SIZE_MAX, "r"},
        {TUNABLE_AT_profile_peak, 1, 1, "r"},
    };
    size_t level = values[TUNABLE_AT_protect].number;
    char set[8] = "";
    strcat(set, level == LEVEL_SAMPLE || level == LEVEL_PARANOID ? "p" : "");
    strcat(set, *set != '\0' && values[TUNABLE_AT_fault_report].number != 0 ? "f" : "");
    strcat(set, level != LEVEL_OFF ? "a" : "");
    strcat(set, values[TUNABLE_AT_check].number != 0 ? "c" : "");
    strcat(set, values[TUNABLE_AT_leaks].number != 0 ? "l" : "");
    strcat(set, values[TUNABLE_AT_profile].number != 0 ? "r" : "");
    strcat(set, values[TUNABLE_AT_stats].text[0] != '\0' ? "s" : "");
    strcat(set, values[TUNABLE_AT_symbolizer].text[0] != '\0' ? "y" : "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct value *value = &values[rows[i].row];
        bool counts = tunables_rows[rows[i].row].kind == TUNABLE_TEXT ||
                      (value->number >= rows[i].least && value->number <= rows[i].most);
        if (given[rows[i].row] && counts && strpbrk(set, rows[i].needs) == NULL)
            expect_ignored("MYALLOC_OPTIONS", LACKS, tunables_rows[rows[i].row].name);
    }
}

static size_t row_named(const char *prefix, const char *text, size_t length, bool tunable) {
    char name[64];
    for (size_t row = 0; row < TUNABLES; row++) {
        const char *own = tunable ? tunables_rows[row].glibc : tunables_rows[row].name;
        snprintf(name, sizeof name, "%s%s", prefix, own);
        if (own[0] != '\0' && is_word(text, length, name))
            return row;
    }
    return TUNABLES;
}

/* The value of the first variable of that name. */
static const char *first_of(char *const *variables, const char *name) {
    for (; *variables != NULL; variables++) {
        const char *equals = strchr(*variables, '=');
        if (equals != NULL && is_word(*variables, (size_t)(equals - *variables), name))
            return equals + 1;
    }
    return NULL;
}

/* VALUE: what has no comma | ' what has no ' ' | " what has no " ". How long the value is, from the colon on. */
static size_t quoted_length(const char *value) {
    const char *close = *value != '\0' && strchr("'\"", *value) != NULL ? strchr(value + 1, *value) : NULL;
    return close != NULL ? (size_t)(close - value) + strcspn(close, ",") : strcspn(value, ",");
}

static void expect_quoted(const char *variable, size_t row, const char *text, size_t length) {
    bool quoted = length > 0 && (*text == '\'' || *text == '"');
    size_t inside = quoted ? 1 : 0;
    while (quoted && inside < length && text[inside] != *text)
        inside++;
    if (!quoted)
        expect_value(variable, row, text, length);
    else if (inside + 1 == length)
        expect_value(variable, row, text + 1, length - 2);
    else
        expect_ignored(variable, VALUE, tunables_rows[row].name);
}

/* ENTRY SEPARATOR ENTRY …, each NAME BETWEEN VALUE. */
static void expect_list(const char *variable, const char *list, char separator, char between, const char *prefix) {
    while (list != NULL) {
        const char *end = strchr(list, separator), *start = separator == ',' ? strpbrk(list, ":,") : NULL;
        if (start != NULL && *start == ':')
            end = start[1 + quoted_length(start + 1)] == '\0' ? NULL : start + 1 + quoted_length(start + 1);
        size_t length = end ? (size_t)(end - list) : strlen(list);
        const char *middle = memchr(list, between, length);
        size_t name = middle ? (size_t)(middle - list) : length;
        bool ours = length >= strlen(prefix) && memcmp(list, prefix, strlen(prefix)) == 0;
        size_t row = row_named(prefix, list, name, prefix[0] != '\0');
        if (length > 0 && ours) {
            if (row == TUNABLES || middle == NULL)
                expect_ignored(variable, NAME, "");
            else if (separator == ',')
                expect_quoted(variable, row, middle + 1, length - name - 1);
            else
                expect_value(variable, row, middle + 1, length - name - 1);
        }
        list = end ? end + 1 : NULL;
    }
}

static void expect_environment(char *const *variables) {
    for (size_t row = 0; row < TUNABLES; row++) {
        const char *name = tunables_rows[row].variable;
        const char *text = name[0] != '\0' ? first_of(variables, name) : NULL;
        if (text != NULL && text[0] != '\0')
            expect_value(name, row, text, strlen(text));
    }
    expect_list("GLIBC_TUNABLES", first_of(variables, "GLIBC_TUNABLES"), ':', '=', "glibc.malloc.");
    expect_list("MYALLOC_OPTIONS", first_of(variables, "MYALLOC_OPTIONS"), ',', ':', "");
    expect_lacks();
}

/* mallopt(3) and myalloc.h: 1 for what is not known. */
static int expect_mallopt(int parameter, int value) {
    for (size_t row = 0; row < TUNABLES; row++) {
        const struct tunable *tunable = &tunables_rows[row];
        size_t number = value < 0 ? SIZE_MAX - (size_t)(-(value + 1)) : (size_t)value;
        if (parameter == 0 || tunable->parameter != parameter)
            continue;
        if (parameter == M_PERTURB)
            number = number % 256;
        if (parameter == M_CHECK_ACTION)
            number = number % 4;
        if (value < 0 && (parameter == M_MMAP_MAX || parameter == M_TOP_PAD))
            number = 0;
        if (value < 0 && parameter == M_MMAP_THRESHOLD)
            number = SIZE_LIMIT;
        if (parameter == M_MYALLOC_LIMIT_MIB && value == 0)
            number = SIZE_MAX;
        else if (parameter == M_MYALLOC_LIMIT_MIB && value > 0)
            number = (size_t)value * MIB;
        else if (parameter <= -1001 && value < 0 && (value != -1 || parameter == M_MYALLOC_LIMIT_MIB))
            return 0;
        if (number < tunable->least || number > tunable->most)
            return 0;
        put(row, number);
        return 1;
    }
    return 1;
}

/* ---- what is complained of --------------------------------------------------------------------------------------- */

static size_t line_count;

static void complain(const char *line) {
    size_t length = strlen(line), at = line_count++;
    char name[64];
    REQUIRE(length > 0 && length < LINE_MOST, "a complaint of %zu characters", length);
    for (size_t i = 0; i < length; i++)
        REQUIRE(line[i] >= 0x20 && line[i] < 0x7f, "a complaint with the character %d", line[i]);
    if (options_shown)
        printf("    %s\n", line);
    if (at >= COMPLAINTS_MAX) {
        char more[64];
        snprintf(more, sizeof more, "%zu more entries of the environment ignored", ignored_count - COMPLAINTS_MAX);
        REQUIRE(at == COMPLAINTS_MAX && strcmp(line, more) == 0, "'%s', not '%s'", line, more);
        return;
    }
    REQUIRE(at < ignored_count, "a complaint too many: %s", line);
    const struct ignored *entry = &ignored[at];
    const char *begins = entry->what == VALUE ? "value '" : entry->what == LACKS ? entry->name : "";
    snprintf(name, sizeof name, "%s: %s", entry->variable, begins);
    REQUIRE(strncmp(line, name, strlen(name)) == 0, "'%s' does not begin with '%s'", line, name);
    if (entry->what == LACKS) {
        REQUIRE(strstr(line, " does nothing without ") != NULL, "'%s' is not about what %s needs", line, entry->name);
        return;
    }
    snprintf(name, sizeof name, "' of %s ", entry->name);
    REQUIRE(strstr(line, ", ignored") != NULL && (entry->what != VALUE || strstr(line, name) != NULL),
            "'%s' is not about the value of '%s'", line, entry->name);
    REQUIRE(entry->what == VALUE || strstr(line, "unknown") != NULL || strstr(line, "no '") != NULL, "'%s' is not about a name",
            line);
}

/* ---- one input --------------------------------------------------------------------------------------------------- */

static const void *at(const struct tunables *from, size_t row) {
    return (const char *)from + tunables_rows[row].offset;
}

static void expect_defaults(const struct tunables *from) {
    for (size_t row = 0; row < TUNABLES; row++)
        if (tunables_rows[row].kind == TUNABLE_TEXT)
            snprintf(values[row].text, sizeof values[row].text, "%s", (const char *)at(from, row));
        else
            values[row].number = *(const _Atomic size_t *)at(from, row);
    ignored_count = 0;
    memset(given, 0, sizeof given);
}

static void same_as_expected(const struct tunables *found, const char *when) {
    for (size_t row = 0; row < TUNABLES; row++) {
        const struct tunable *tunable = &tunables_rows[row];
        const void *value = at(found, row);
        if (tunable->kind == TUNABLE_TEXT) {
            REQUIRE(memchr(value, '\0', TUNABLE_TEXT_MAX + 1) != NULL, "%s: %s has no end", when, tunable->name);
            REQUIRE(strcmp(value, values[row].text) == 0, "%s: %s is '%s', not '%s'", when, tunable->name,
                    (const char *)value, values[row].text);
            continue;
        }
        size_t number = *(const _Atomic size_t *)value;
        REQUIRE(number == values[row].number, "%s: %s is %zu, not %zu", when, tunable->name, number,
                values[row].number);
        REQUIRE(number >= tunable->least && number <= tunable->most, "%s: %s is %zu", when, tunable->name, number);
    }
}

/* Read again as it is shown, each is what it was. */
static void shown_is_taken(const struct tunables *found, const struct tunables *defaults) {
    static const int late[] = {TUNABLE_AT_dynamic_threshold, TUNABLE_AT_hugepages}; /* others set them, too */
    char list[8192] = "MYALLOC_OPTIONS=", text[TUNABLE_TEXT_MAX + 3];
    size_t length = strlen(list);
    struct tunables again = *defaults;
    memset(given, 0, sizeof given);
    for (size_t i = 0; i < TUNABLES + 2; i++) {
        size_t row = i < TUNABLES ? i : (size_t)late[i - TUNABLES];
        tunables_value(found, &tunables_rows[row], text, sizeof text);
        if (text[0] == '\0') {
            memcpy((char *)&again + tunables_rows[row].offset, at(found, row), TUNABLE_TEXT_MAX + 1);
            continue;
        }
        length += (size_t)snprintf(list + length, sizeof list - length, "%s:%s,", tunables_rows[row].name, text);
        REQUIRE(length < sizeof list, "the list of all values is too long");
        given[row] = true;
    }
    char *variables[] = {list, NULL};
    ignored_count = line_count = 0;
    expect_lacks();
    environment_apply(variables, &again, complain);
    same_as_expected(&again, "shown and read again");
}

static void call_mallopt(const char *text, struct tunables *found) {
    int parameter, value;
    if (sscanf(text, "mallopt=%d,%d", &parameter, &value) != 2)
        return;
    REQUIRE(readonly_open(&tunables, sizeof tunables), "readonly_open");
    tunables = *found;
    int expected = expect_mallopt(parameter, value), result = tunables_mallopt(parameter, value);
    REQUIRE(result == expected, "mallopt(%d, %d) returns %d", parameter, value, result);
    if (options_shown)
        printf("    mallopt(%d, %d) = %d\n", parameter, value, result);
    *found = tunables;
}

/* Each variable in memory of its own length, so that a byte read beyond it is found. */
static size_t split(const uint8_t *data, size_t size, char **variables) {
    size_t count = 0;
    while (size > 0 && count < VARIABLES) {
        const uint8_t *end = memchr(data, 0, size);
        size_t length = end ? (size_t)(end - data) : size;
        variables[count] = malloc(length + 1);
        REQUIRE(variables[count] != NULL, "malloc");
        memcpy(variables[count], data, length);
        variables[count++][length] = '\0';
        data += length;
        size -= length;
        if (size > 0) {
            data++;
            size--;
        }
    }
    variables[count] = NULL;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tunables defaults;
    static bool kept;
    char *variables[VARIABLES + 1];
    if (!kept)
        defaults = tunables;
    kept = true;
    size_t count = split(data, size, variables);
    for (size_t i = 0; options_shown && i < count; i++)
        printf("  %s\n", variables[i]);
    struct tunables found = defaults, silently = defaults;
    expect_defaults(&defaults);
    expect_environment(variables);
    line_count = 0;
    environment_apply(variables, &found, complain);
    size_t lines = ignored_count <= COMPLAINTS_MAX ? ignored_count : COMPLAINTS_MAX + 1;
    REQUIRE(line_count == lines, "%zu complaints of %zu that are ignored", line_count, ignored_count);
    same_as_expected(&found, "read");
    environment_apply(variables, &silently, NULL);
    same_as_expected(&silently, "read without complaints");
    for (size_t i = 0; i < count; i++)
        call_mallopt(variables[i], &found);
    same_as_expected(&found, "mallopt");
    shown_is_taken(&found, &defaults);
    for (size_t i = 0; i < count; i++)
        free(variables[i]);
    return 0;
}
