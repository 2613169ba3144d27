/* SPDX-License-Identifier: MIT */
#include "kit/tunables.h"

#include <string.h>

#include "base/glibc.h"
#include "base/myalloc.h"
#include "kit/readonly.h"
#include "kit/report.h"

struct tunables tunables READONLY = {
#define KNOB(name, kind, value, least, most, parameter, tunable, variable, meaning) .name = value,
#include "kit/tunables.def"
#undef KNOB
};

const struct knob tunables_knobs[KNOBS] = {
#define KNOB(name, kind, value, least, most, parameter, tunable, variable, meaning)                                    \
    {#name, tunable, variable, parameter, KNOB_##kind, offsetof(struct tunables, name), least, most},
#include "kit/tunables.def"
#undef KNOB
};

static _Atomic size_t *number_at(struct tunables *in, const struct knob *knob) {
    return (_Atomic size_t *)(void *)((char *)in + knob->offset);
}

/* ---- setting ----------------------------------------------------------------------------------------------------- */

static bool set_number(struct tunables *into, const struct knob *knob, size_t value) {
    if (value < knob->least || value > knob->most)
        return false;
    *number_at(into, knob) = value;
    switch (knob - tunables_knobs) {
    case KNOB_AT_mmap_threshold:
    case KNOB_AT_mmap_max:
    case KNOB_AT_trim_threshold:
    case KNOB_AT_top_pad:
        into->dynamic_threshold = 0;
        break;
    case KNOB_AT_hugetlb:
        into->hugepages = value == 0 ? CHOICE_OFF : CHOICE_ON;
        break;
    }
    return true;
}

int tunables_mallopt(int parameter, int value) {
    /* glibc reads the int as a size: -1 as M_TRIM_THRESHOLD means never. */
    size_t number = (size_t)(intptr_t)value;
    if (parameter <= M_MYALLOC_DECAY_MS && value < -1)
        return 0;
    if (parameter == M_PERTURB)
        number &= 0xff;
    if (parameter == M_CHECK_ACTION)
        number &= 3; /* the third bit asks for a shorter message; mallopt(3): the others are ignored */
    if (parameter == M_MYALLOC_LIMIT_MIB)
        number = value == 0 ? SIZE_MAX : value < 0 ? 0 : number * MIB;
    if (!readonly_open(&tunables, sizeof tunables))
        return 0;
    for (size_t i = 0; i < KNOBS; i++)
        if (parameter != 0 && tunables_knobs[i].parameter == parameter)
            return set_number(&tunables, &tunables_knobs[i], number);
    return 0;
}

/* ---- reading values ---------------------------------------------------------------------------------------------- */

#define FLAG_WORDS "off on"
#define CHOICE_WORDS "off auto on"
#define LEVEL_WORDS "off sample check paranoid"

/* Position of a word in a list whose words are parted by blanks, -1 if it is not there. */
static int word_index(const char *words, const char *text, size_t length) {
    for (int i = 0;; i++) {
        size_t word = strcspn(words, " ");
        if (word == length && memcmp(words, text, length) == 0)
            return i;
        if (words[word] == '\0')
            return -1;
        words += word + 1;
    }
}

/* The word at a position. */
static void show_word(const char *words, size_t index, char *out, size_t room) {
    for (; index > 0; index--)
        words += strcspn(words, " ") + 1;
    report_format(out, min_size(room, strcspn(words, " ") + 1), "%s", words);
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
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

#define NOT_A_NUMBER "is not a number"
#define TOO_LARGE "is too large"

/* Digits as in C (0x hexadecimal, 0 octal, as glibc reads its tunables), and where sizes are meant a suffix. */
static const char *read_number(const char *text, size_t length, bool suffixed, size_t *value) {
    size_t at = 0, number = 0;
    int radix = 10, shift = 0;
    if (length > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
        radix = 16;
        at = 2;
    } else if (length > 1 && text[0] == '0') {
        radix = 8;
    }
    size_t start = at;
    for (; at < length && digit_of(text[at]) < radix; at++)
        if (__builtin_mul_overflow(number, (size_t)radix, &number) ||
            __builtin_add_overflow(number, (size_t)digit_of(text[at]), &number))
            return TOO_LARGE;
    if (at == start)
        return NOT_A_NUMBER;
    if (suffixed && at + 1 == length && (shift = suffix_shift(text[at])) >= 0)
        at++;
    if (at < length)
        return suffixed ? "is not a size" : NOT_A_NUMBER;
    *value = number << shift;
    return *value >> shift == number ? NULL : TOO_LARGE;
}

static const char *read_value(const struct knob *knob, const char *text, size_t length, size_t *value) {
    bool sized = knob->kind == KNOB_SIZE || knob->kind == KNOB_LIMIT;
    int word = knob->kind == KNOB_FLAG     ? word_index(FLAG_WORDS, text, length)
               : knob->kind == KNOB_CHOICE ? word_index(CHOICE_WORDS, text, length)
               : knob->kind == KNOB_LEVEL  ? word_index(LEVEL_WORDS, text, length)
                                           : -1;
    if (word >= 0) {
        *value = (size_t)word;
        return NULL;
    }
    if (knob->most == SIZE_MAX && word_index("none -1", text, length) >= 0) {
        *value = SIZE_MAX;
        return NULL;
    }
    if (knob->kind == KNOB_LIMIT && word_index("cgroup", text, length) >= 0) {
        *value = LIMIT_CGROUP;
        return NULL;
    }
    return read_number(text, length, sized, value);
}

static const char *set_string(struct tunables *into, const struct knob *knob, const char *text, size_t length) {
    char *out = (char *)into + knob->offset;
    if (length > knob->most)
        return "is too long";
    memcpy(out, text, length);
    out[length] = '\0';
    return NULL;
}

const char *tunables_set_text(struct tunables *into, const struct knob *knob, const char *text, size_t length) {
    if (length == 0)
        return "is empty";
    if (knob->kind == KNOB_TEXT)
        return set_string(into, knob, text, length);
    size_t value;
    const char *wrong = read_value(knob, text, length, &value);
    if (wrong != NULL)
        return wrong;
    return set_number(into, knob, value) ? NULL : value < knob->least ? "is too small" : TOO_LARGE;
}

/* ---- showing values ---------------------------------------------------------------------------------------------- */

/* As few digits as say it exactly: 131072 is 128k. */
static void show_size(size_t value, char *out, size_t room) {
    static const char suffixes[] = "\0kmgt";
    size_t step = 0;
    for (; value != 0 && value % KIB == 0 && step < 4; step++)
        value /= KIB;
    char suffix[2] = {suffixes[step], '\0'};
    report_format(out, room, "%z%s", value, suffix);
}

char *tunables_allowed(const struct knob *knob, char *out, size_t room) {
    char least[24], most[24];
    bool bounded = knob->most < SIZE_LIMIT;
    show_size(knob->least, least, sizeof least);
    show_size(knob->most, most, sizeof most);
    const char *none = knob->most == SIZE_MAX ? ", or none" : "";
    switch (knob->kind) {
    case KNOB_SIZE:
        if (bounded)
            report_format(out, room, "a size from %s to %s", least, most);
        else
            report_format(out, room, "a size such as 64k or 2m%s", none);
        break;
    case KNOB_LIMIT:
        report_format(out, room, "a size such as 512m or 2g, at least %s; none; or cgroup", least);
        break;
    case KNOB_MS:
        report_format(out, room, "milliseconds from %z to %z", knob->least, knob->most);
        break;
    case KNOB_COUNT:
        if (bounded)
            report_format(out, room, "a number from %z to %z", knob->least, knob->most);
        else
            report_format(out, room, "a number, at least %z%s", knob->least, none);
        break;
    case KNOB_FLAG:
        report_format(out, room, "off or on (0 or 1)");
        break;
    case KNOB_CHOICE:
        report_format(out, room, "off, auto or on (0, 1 or 2)");
        break;
    case KNOB_LEVEL:
        report_format(out, room, "off, sample, check or paranoid (0, 1, 2 or 3)");
        break;
    case KNOB_TEXT:
        report_format(out, room, "%z to %z bytes", knob->least, knob->most);
        break;
    }
    return out;
}

char *tunables_value(const struct tunables *from, const struct knob *knob, char *out, size_t room) {
    const void *at = (const char *)from + knob->offset;
    size_t value = knob->kind == KNOB_TEXT ? 0 : *(const _Atomic size_t *)at;
    if (knob->kind == KNOB_TEXT)
        report_format(out, room, "%s", (const char *)at);
    else if (knob->kind == KNOB_FLAG)
        show_word(FLAG_WORDS, value, out, room);
    else if (knob->kind == KNOB_CHOICE)
        show_word(CHOICE_WORDS, value, out, room);
    else if (knob->kind == KNOB_LEVEL)
        show_word(LEVEL_WORDS, value, out, room);
    else if (value == SIZE_MAX)
        report_format(out, room, "none");
    else if (knob->kind == KNOB_LIMIT && value == LIMIT_CGROUP)
        report_format(out, room, "cgroup");
    else if (knob->kind == KNOB_SIZE || knob->kind == KNOB_LIMIT)
        show_size(value, out, room);
    else
        report_format(out, room, "%z", value);
    return out;
}
