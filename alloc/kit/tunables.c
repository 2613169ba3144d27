/* SPDX-License-Identifier: MIT */
#include "kit/tunables.h"

#include <string.h>

#include "base/glibc.h"
#include "base/myalloc.h"
#include "base/scan.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/text.h"

#define TUNABLE(name, kind, value, least, most, parameter, glibc, variable, meaning) .name = value,
READONLY_PAGES(struct tunables, tunables) = {{
#include "kit/tunables.def"
}};
#undef TUNABLE
READONLY_NAME(struct tunables, tunables);

const struct tunable tunables_rows[TUNABLES] = {
#define TUNABLE(name, kind, value, least, most, parameter, glibc, variable, meaning)                                   \
    {#name, glibc, variable, parameter, TUNABLE_##kind, offsetof(struct tunables, name), least, most},
#include "kit/tunables.def"
#undef TUNABLE
};

static _Atomic size_t *number_at(struct tunables *in, const struct tunable *tunable) {
    return (_Atomic size_t *)(void *)((char *)in + tunable->offset);
}

static size_t number_in(const struct tunables *from, const struct tunable *tunable) {
    return *(const _Atomic size_t *)(const void *)((const char *)from + tunable->offset);
}

/* ---- setting ----------------------------------------------------------------------------------------------------- */

static bool set_number(struct tunables *into, const struct tunable *tunable, size_t value) {
    if (value < tunable->least || value > tunable->most)
        return false;
    *number_at(into, tunable) = value;
    switch (tunable - tunables_rows) {
    case TUNABLE_AT_mmap_threshold:
    case TUNABLE_AT_mmap_max:
    case TUNABLE_AT_trim_threshold:
    case TUNABLE_AT_top_pad:
        into->dynamic_threshold = 0;
        break;
    case TUNABLE_AT_hugetlb:
        into->hugepages = value == 0 ? CHOICE_OFF : CHOICE_ON;
        break;
    }
    return true;
}

/* What the value of a parameter means. glibc takes every int but for M_MXFAST: a negative one is a size beyond all others, and
 * as M_MMAP_MAX a number below none. */
static size_t number_of(int parameter, int value) {
    size_t number = (size_t)(intptr_t)value;
    switch (parameter) {
    case M_PERTURB:
        return number & 0xff;
    case M_CHECK_ACTION:
        return number & 3; /* the third bit asks for a shorter message; mallopt(3): the others are ignored */
    case M_MMAP_THRESHOLD:
        return min_size(number, SIZE_LIMIT);
    case M_MMAP_MAX:
    case M_TOP_PAD: /* in glibc the sum of it and a request wraps around, so that nothing is added */
        return value < 0 ? 0 : number;
    case M_MYALLOC_LIMIT_MIB:
        return value == 0 ? SIZE_MAX : value < 0 ? 0 : number * MIB;
    default:
        return number;
    }
}

bool tunables_set(size_t at, size_t value) {
    if (!readonly_open(&tunables, sizeof tunables))
        return false;
    bool done = set_number(&tunables, &tunables_rows[at], value);
    readonly_shut(&tunables, sizeof tunables);
    return done;
}

int tunables_mallopt(int parameter, int value) {
    size_t at = 0;
    while (at < TUNABLES && (parameter == 0 || tunables_rows[at].parameter != parameter))
        at++;
    if (at == TUNABLES)
        return 1; /* as glibc */
    bool done = (parameter > M_MYALLOC_DECAY_MS || value >= -1) && tunables_set(at, number_of(parameter, value));
    if (done && parameter == M_CHECK_ACTION)
        report_set_action((unsigned)value & (REPORT_SAY | REPORT_ABORT | REPORT_SHORT));
    return done;
}

/* ---- reading values ---------------------------------------------------------------------------------------------- */

#define NO_WORD "is none of its values"
#define WORDS_BREAK ", " /* between two words of a list */

/* The kinds whose values have names; a word's position is its value. */
static const struct {
    char words[32];
} kind_words[] = {
    [TUNABLE_FLAG] = {"off, on"},
    [TUNABLE_CHOICE] = {"off, auto, on"},
    [TUNABLE_LEVEL] = {"off, sample, check, paranoid"},
    [TUNABLE_UNWINDER] = {"tables, fp"},
    [TUNABLE_TEXT] = {""},
};

/* The names of the values of a tunable, NULL if they have none. */
static const char *words_of(const struct tunable *tunable) {
    const char *words = kind_words[tunable->kind].words;
    return words[0] != '\0' ? words : NULL;
}

/* Position of a word in a list, -1 if it is not there. */
static int word_index(const char *words, const char *text, size_t length) {
    for (int i = 0;; i++) {
        size_t word = strcspn(words, WORDS_BREAK);
        if (word == length && memcmp(words, text, length) == 0)
            return i;
        if (words[word] == '\0')
            return -1;
        words += word + sizeof WORDS_BREAK - 1;
    }
}

/* The word at a position. */
static void show_word(const char *words, size_t index, char *out, size_t room) {
    for (; index > 0; index--)
        words += strcspn(words, WORDS_BREAK) + sizeof WORDS_BREAK - 1;
    text_format(out, min_size(room, strcspn(words, WORDS_BREAK) + 1), "%s", words);
}

/* The power of two that a suffix stands for, -1 if it is none. */
static int suffix_shift(char c) {
    switch (c | 0x20) {
    case 'k':
        return 10;
    case 'm':
        return 20;
    case 'g':
        return 30;
    case 't':
        return 40;
    default:
        return -1;
    }
}

static const char NOT_A_NUMBER[] = "is not a number";
#define TOO_LARGE "is too large"

/* Digits as in C (0x hexadecimal, 0 octal, as glibc reads its tunables), and where sizes are meant a suffix. */
static const char *read_number(const char *text, size_t length, bool suffixed, size_t *value) {
    size_t at = 0, number;
    unsigned radix = 10;
    int shift = 0;
    if (length > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
        radix = 16;
        at = 2;
    } else if (length > 1 && text[0] == '0') {
        radix = 8;
    }
    size_t digits = scan_number(text + at, length - at, radix, &number);
    at += digits;
    if (at < length && scan_digit(text[at]) < radix)
        return TOO_LARGE;
    if (digits == 0)
        return length > 1 && text[0] == '-' && scan_digit(text[1]) < 10 ? "is negative" : NOT_A_NUMBER;
    if (suffixed && at + 1 == length && (shift = suffix_shift(text[at])) >= 0)
        at++;
    if (at < length)
        return suffixed ? "is not a size" : NOT_A_NUMBER;
    *value = number << shift;
    return *value >> shift == number ? NULL : TOO_LARGE;
}

static const char *read_value(const struct tunable *tunable, const char *text, size_t length, size_t *value) {
    bool sized = tunable->kind == TUNABLE_SIZE || tunable->kind == TUNABLE_LIMIT;
    const char *words = words_of(tunable);
    int word = words != NULL ? word_index(words, text, length) : -1;
    if (word >= 0) {
        *value = (size_t)word;
        return NULL;
    }
    /* glibc's names have -1 as a word for the largest number. */
    const char *none = tunable->glibc[0] != '\0' ? "none, -1" : "none";
    if (tunable->most == SIZE_MAX && word_index(none, text, length) >= 0) {
        *value = SIZE_MAX;
        return NULL;
    }
    if (tunable->kind == TUNABLE_LIMIT && word_index("cgroup", text, length) >= 0) {
        *value = LIMIT_CGROUP;
        return NULL;
    }
    const char *wrong = read_number(text, length, sized, value);
    if (wrong == NULL && tunable->kind == TUNABLE_LIMIT && *value > SIZE_LIMIT)
        return TOO_LARGE;
    return wrong == NOT_A_NUMBER && words != NULL ? NO_WORD : wrong;
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* True if `text` begins with the name of an option and a colon. */
static bool begins_option(const char *text, size_t length) {
    for (const struct tunable *tunable = tunables_rows; tunable < tunables_rows + TUNABLES; tunable++) {
        size_t name = strlen(tunable->name);
        if (name < length && text[name] == ':' && memcmp(text, tunable->name, name) == 0)
            return true;
    }
    return false;
}

/* True if another option follows in the value, as in "1 leaks:1". */
static bool lacks_comma(const char *text, size_t length) {
    for (size_t at = 1; at < length; at++)
        if ((is_blank(text[at - 1]) || text[at - 1] == ';' || text[at - 1] == ':') && begins_option(text + at, length - at))
            return true;
    return false;
}

/* What nobody means as the name of a file: a number, which `stats` alone takes, a negative one, a word. */
static bool is_no_path(const struct tunable *tunable, const char *text, size_t length) {
    size_t negative = text[0] == '-' && length > 1, digits = negative;
    while (digits < length && scan_digit(text[digits]) < 10)
        digits++;
    if (digits == length)
        return negative || tunable != &tunables_rows[TUNABLE_AT_stats];
    return word_index("-, on, off, none, yes, no, true, false", text, length) >= 0;
}

static const char *set_string(struct tunables *into, const struct tunable *tunable, const char *text, size_t length) {
    char *out = (char *)into + tunable->offset;
    if (length > tunable->most)
        return "is too long";
    if (is_blank(text[0]) || is_blank(text[length - 1]))
        return "begins or ends with a blank";
    if (is_no_path(tunable, text, length))
        return "is no path, unless ./ is put before it";
    memcpy(out, text, length);
    out[length] = '\0';
    return NULL;
}

const char *tunables_set_text(struct tunables *into, const struct tunable *tunable, const char *text, size_t length) {
    if (length == 0)
        return "is empty";
    if (lacks_comma(text, length))
        return "has no comma before the next option";
    if (tunable->kind == TUNABLE_TEXT)
        return set_string(into, tunable, text, length);
    size_t value = 0;
    const char *wrong = read_value(tunable, text, length, &value);
    if (wrong != NULL)
        return wrong;
    return set_number(into, tunable, value) ? NULL : value < tunable->least ? "is too small" : TOO_LARGE;
}

/* ---- options beside others ---------------------------------------------------------------------------------------- */

const char *tunables_lacks(const struct tunables *values, const struct tunable *tunable) {
    bool checked = values->protect != LEVEL_OFF || values->check != 0;
    bool guarded = values->protect == LEVEL_SAMPLE || values->protect == LEVEL_PARANOID;
    size_t value = tunable->kind == TUNABLE_TEXT ? 1 : number_in(values, tunable);
    switch (tunable - tunables_rows) {
    case TUNABLE_AT_fault_report:
        return value == 0 || guarded ? NULL : "protect:sample or paranoid";
    case TUNABLE_AT_fault_stacks:
        return value == 0 || (guarded && values->fault_report) ? NULL : "fault_report:on";
    case TUNABLE_AT_sample_interval:
    case TUNABLE_AT_sample_memory:
        return guarded ? NULL : "protect:sample or paranoid, or 'myalloc ctl' later";
    case TUNABLE_AT_mismatch:
    case TUNABLE_AT_wrong_size:
    case TUNABLE_AT_overrun:
    case TUNABLE_AT_double_free:
    case TUNABLE_AT_late_write:
    case TUNABLE_AT_bad_pointer:
        return value != 0 || checked ? NULL : "protect, check or mcheck()";
    case TUNABLE_AT_profile_interval:
    case TUNABLE_AT_profile_seed:
    case TUNABLE_AT_profile_out:
        return values->profile ? NULL : "profile:1, or 'myalloc ctl' later";
    case TUNABLE_AT_profile_every_ms:
    case TUNABLE_AT_profile_growth:
    case TUNABLE_AT_profile_peak:
        return value == 0 || values->profile ? NULL : "profile:1, or 'myalloc ctl' later";
    case TUNABLE_AT_leaks_exit:
    case TUNABLE_AT_leaks_suppress:
        return value == 0 || values->leaks != 0 ? NULL : "leaks";
    case TUNABLE_AT_symbolizer_seconds:
        return values->symbolizer[0] != '\0' ? NULL : "symbolizer";
    case TUNABLE_AT_stack_depth:
        checked = checked || values->leaks != 0 || values->profile;
        return checked ? NULL : "leaks, profile, protect, check or mcheck()";
    case TUNABLE_AT_at_signals:
        checked = checked || values->leaks != 0 || values->profile || values->stats[0] != '\0';
        return value == 0 || checked ? NULL : "stats, leaks, profile, protect or check";
    default:
        return NULL;
    }
}

/* ---- showing values ---------------------------------------------------------------------------------------------- */

/* As few digits as say it exactly: 131072 is 128k. */
static void show_size(size_t value, char *out, size_t room) {
    static const char suffixes[] = "\0kmgt";
    size_t step = 0;
    for (; value != 0 && value % KIB == 0 && step < 4; step++)
        value /= KIB;
    char suffix[2] = {suffixes[step], '\0'};
    text_format(out, room, "%z%s", value, suffix);
}

char *tunables_allowed(const struct tunable *tunable, char *out, size_t room) {
    char least[24], most[24];
    bool bounded = tunable->most < SIZE_LIMIT;
    show_size(tunable->least, least, sizeof least);
    show_size(tunable->most, most, sizeof most);
    const char *none = tunable->most == SIZE_MAX ? ", or none" : "";
    switch (tunable->kind) {
    case TUNABLE_SIZE:
        if (bounded)
            text_format(out, room, "a size from %s to %s", least, most);
        else
            text_format(out, room, "a size such as 64k or 2m%s", none);
        break;
    case TUNABLE_LIMIT:
        text_format(out, room, "a size such as 512m or 2g, at least %s; none; or cgroup", least);
        break;
    case TUNABLE_MS:
        text_format(out, room, "milliseconds from %z to %z", tunable->least, tunable->most);
        break;
    case TUNABLE_ANY:
        text_format(out, room, "a number, at least %z", tunable->least);
        break;
    case TUNABLE_COUNT:
        if (bounded)
            text_format(out, room, "a number from %z to %z", tunable->least, tunable->most);
        else
            text_format(out, room, "a number, at least %z%s", tunable->least, none);
        break;
    case TUNABLE_FLAG:
        text_format(out, room, "off or on (0 or 1)");
        break;
    case TUNABLE_CHOICE:
        text_format(out, room, "off, auto or on (0, 1 or 2)");
        break;
    case TUNABLE_LEVEL:
        text_format(out, room, "off, sample, check or paranoid (0, 1, 2 or 3)");
        break;
    case TUNABLE_UNWINDER:
        text_format(out, room, "tables or fp (0 or 1)");
        break;
    case TUNABLE_TEXT:
        text_format(out, room, "text of %z to %z bytes; with a comma in it, between quotes", tunable->least, tunable->most);
        break;
    }
    return out;
}

/* Between quotes where it would be read as something else otherwise. No text that has both kinds of them needs any. */
static void show_text(const char *text, char *out, size_t room) {
    bool needs = strchr(text, ',') != NULL || text[0] == '"' || text[0] == '\'';
    const char *quote = !needs ? "" : strchr(text, '"') == NULL ? "\"" : strchr(text, '\'') == NULL ? "'" : "";
    text_format(out, room, "%s%s%s", quote, text, quote);
}

char *tunables_value(const struct tunables *from, const struct tunable *tunable, char *out, size_t room) {
    size_t value = tunable->kind == TUNABLE_TEXT ? 0 : number_in(from, tunable);
    if (tunable->kind == TUNABLE_TEXT)
        show_text((const char *)from + tunable->offset, out, room);
    else if (words_of(tunable) != NULL)
        show_word(words_of(tunable), value, out, room);
    else if (value == SIZE_MAX)
        text_format(out, room, "none");
    else if (tunable->kind == TUNABLE_LIMIT && value == LIMIT_CGROUP)
        text_format(out, room, "cgroup");
    else if (tunable->kind == TUNABLE_SIZE || tunable->kind == TUNABLE_LIMIT)
        show_size(value, out, room);
    else
        text_format(out, room, "%z", value);
    return out;
}
