/* SPDX-License-Identifier: MIT */
#include "kit/environment.h"

#include <string.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/finding.h"
#include "kit/path.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/text.h"

/* What getenv reads. NULL tells that libc is not set up yet, or that the program has cleared it by clearenv. */
extern char **__environ;

_Atomic int environment_state;

#define GLIBC_PREFIX "glibc.malloc."
#define SHOWN_MAX 48 /* characters of a name or value in a complaint */

struct reading {
    struct tunables *into;
    const char *variable;
    void (*complain)(const char *line);
    int complaints;
    uint64_t given; /* rows of tunables_rows that MYALLOC_OPTIONS has set, a bit each */
};
_Static_assert(TUNABLES <= 64, "a bit for each row");

/* ---- complaints -------------------------------------------------------------------------------------------------- */

/* A piece of the environment, cut and with what is not printable as \xNN. */
static const char *shown(const char *text, size_t length, char *out, size_t room) {
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = c >= 0x20 && c < 0x7f && c != '\\';
        if (used + (plain ? 1 : 4) > SHOWN_MAX || used + 8 > room) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        if (plain) {
            out[used++] = (char)c;
        } else {
            const char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
            memcpy(out + used, escape, 4);
            used += 4;
        }
    }
    out[used] = '\0';
    return out;
}

/* Counts one more; whether it is to be told. */
static bool may_complain(struct reading *reading) {
    return reading->complain != NULL && ++reading->complaints <= COMPLAINTS_MAX;
}

static void complain_unknown(struct reading *reading, const char *what, const char *text, size_t length) {
    char name[SHOWN_MAX + 8], line[400];
    if (!may_complain(reading))
        return;
    text_format(line, sizeof line, "%s: %s '%s', ignored ('myalloc options' lists what there is)", reading->variable,
                what, shown(text, length, name, sizeof name));
    reading->complain(line);
}

static void complain_value(struct reading *reading, const struct tunable *tunable, const char *text, size_t length,
                           const char *wrong) {
    char value[SHOWN_MAX + 8], allowed[96], line[400];
    if (!may_complain(reading))
        return;
    text_format(line, sizeof line, "%s: value '%s' of %s %s, ignored; allowed: %s", reading->variable,
                shown(text, length, value, sizeof value), tunable->name, wrong,
                tunables_allowed(tunable, allowed, sizeof allowed));
    reading->complain(line);
}

/* Options that do nothing, as they were given. */
static void complain_of_lacks(struct reading *reading) {
    char line[128];
    for (size_t row = 0; row < TUNABLES; row++) {
        const char *lacks = reading->given >> row & 1 ? tunables_lacks(reading->into, &tunables_rows[row]) : NULL;
        if (lacks == NULL || !may_complain(reading))
            continue;
        text_format(line, sizeof line, "MYALLOC_OPTIONS: %s does nothing without %s", tunables_rows[row].name, lacks);
        reading->complain(line);
    }
}

static void complain_more(const struct reading *reading) {
    char line[128];
    if (reading->complain == NULL || reading->complaints <= COMPLAINTS_MAX)
        return;
    text_format(line, sizeof line, "%d more entries of the environment ignored", reading->complaints - COMPLAINTS_MAX);
    reading->complain(line);
}

/* ---- the variables ----------------------------------------------------------------------------------------------- */

static bool set(struct reading *reading, const struct tunable *tunable, const char *text, size_t length) {
    const char *wrong = tunables_set_text(reading->into, tunable, text, length);
    if (wrong != NULL)
        complain_value(reading, tunable, text, length, wrong);
    return wrong == NULL;
}

/* The tunable whose own name, or whose name under glibc.malloc., is this. */
static const struct tunable *find(const char *name, size_t length, bool glibc) {
    for (const struct tunable *tunable = tunables_rows; tunable < tunables_rows + TUNABLES; tunable++) {
        const char *own = glibc ? tunable->glibc : tunable->name;
        if (length > 0 && strlen(own) == length && memcmp(own, name, length) == 0)
            return tunable;
    }
    return NULL;
}

static void read_old_variables(struct reading *reading, char *const *variables) {
    for (const struct tunable *tunable = tunables_rows; tunable < tunables_rows + TUNABLES; tunable++) {
        const char *value = tunable->variable[0] != '\0' ? scan_variable(variables, tunable->variable) : NULL;
        if (value == NULL || *value == '\0')
            continue;
        reading->variable = tunable->variable;
        set(reading, tunable, value, strlen(value));
    }
}

/* One entry of GLIBC_TUNABLES. Other parts of glibc have theirs there too: those are not ours to judge. */
static void read_tunable(struct reading *reading, const char *entry, size_t length) {
    size_t prefix = sizeof GLIBC_PREFIX - 1;
    if (length < prefix || memcmp(entry, GLIBC_PREFIX, prefix) != 0)
        return;
    const char *equals = memchr(entry, '=', length);
    size_t name = equals ? (size_t)(equals - entry) : length;
    const struct tunable *tunable = find(entry + prefix, name - prefix, true);
    if (tunable == NULL)
        complain_unknown(reading, "unknown tunable", entry, name);
    else if (equals == NULL)
        complain_unknown(reading, "no '=' and value in", entry, length);
    else
        set(reading, tunable, equals + 1, length - name - 1);
}

static bool is_quote(char c) {
    return c == '"' || c == '\'';
}

/* A value that begins with a quote ends with the next one of its kind, and is what stands between. */
static bool set_option(struct reading *reading, const struct tunable *tunable, const char *value, size_t length) {
    if (length == 0 || !is_quote(value[0]))
        return set(reading, tunable, value, length);
    if (memchr(value + 1, value[0], length - 1) == value + length - 1)
        return set(reading, tunable, value + 1, length - 2);
    complain_value(reading, tunable, value, length, "does not end with its only other quote");
    return false;
}

static void read_option(struct reading *reading, const char *entry, size_t length) {
    const char *colon = memchr(entry, ':', length);
    const struct tunable *tunable = find(entry, colon ? (size_t)(colon - entry) : length, false);
    if (colon == NULL)
        complain_unknown(reading, tunable ? "no ':' and value behind" : "no ':' in", entry, length);
    else if (tunable == NULL)
        complain_unknown(reading, "unknown key", entry, (size_t)(colon - entry));
    else if (set_option(reading, tunable, colon + 1, length - (size_t)(colon - entry) - 1))
        reading->given |= (uint64_t)1 << (tunable - tunables_rows);
}

/* The separator behind the entry, NULL if it is the last. Between the quotes of an option's value there is none. */
static const char *entry_end(const char *entry, char separator) {
    const char *end = strchr(entry, separator), *colon = NULL;
    if (separator == ',' && end != NULL) /* looked for in this entry only: a long list is read once */
        colon = memchr(entry, ':', (size_t)(end - entry));
    if (colon == NULL || !is_quote(colon[1]))
        return end;
    const char *close = strchr(colon + 2, colon[1]);
    return close != NULL ? strchr(close, separator) : end;
}

static void read_list(struct reading *reading, char *const *variables, const char *name, char separator,
                      void (*read_entry)(struct reading *, const char *, size_t)) {
    const char *entry = scan_variable(variables, name);
    reading->variable = name;
    while (entry != NULL) {
        const char *end = entry_end(entry, separator);
        size_t length = end ? (size_t)(end - entry) : strlen(entry);
        if (length > 0)
            read_entry(reading, entry, length);
        entry = end ? end + 1 : NULL;
    }
}

void environment_apply(char *const *variables, struct tunables *into, void (*complain)(const char *line)) {
    struct reading reading = {.into = into, .complain = complain};
    read_old_variables(&reading, variables);
    read_list(&reading, variables, "GLIBC_TUNABLES", ':', read_tunable);
    read_list(&reading, variables, "MYALLOC_OPTIONS", ',', read_option);
    complain_of_lacks(&reading);
    complain_more(&reading);
}

const char *environment_variable(const char *name) {
    return os_is_secure() ? NULL : scan_variable(__environ, name);
}

/* ---- once -------------------------------------------------------------------------------------------------------- */

static void complain_on_stderr(const char *line) {
    report_line("%s", line);
}

static bool concerns_us(const char *variable) {
    return (variable[0] == 'M' && (strncmp(variable, "MALLOC_", 7) == 0 || strncmp(variable, "MYALLOC_", 8) == 0)) ||
           strncmp(variable, "GLIBC_TUNABLES=", 15) == 0;
}

/* What is opened later is a path from here on. */
static void keep_folder(const struct tunables *from) {
    const char *const paths[] = {from->log, from->symbolizer, from->stats, from->trace, from->profile_out};
    bool relative = from->profile && from->profile_out[0] == '\0';
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        relative |= paths[i][0] != '\0' && paths[i][0] != '/';
    if (relative)
        path_keep_folder();
}

AT_START void environment_read_slow(void) {
    char **variables = __environ;
    if (variables == NULL) /* libc is not set up yet, or the program has cleared it: look again next time */
        return;
    bool any = false;
    for (char **variable = variables; *variable != NULL && !any; variable++)
        any = concerns_us(*variable);
    if (!any || os_is_secure()) {
        atomic_store_explicit(&environment_state, ENVIRONMENT_READ, memory_order_release);
        return;
    }
    struct tunables fresh = tunables;
    int unread = ENVIRONMENT_UNREAD;
    environment_apply(variables, &fresh, NULL);
    if (!atomic_compare_exchange_strong(&environment_state, &unread, ENVIRONMENT_BEING_SET))
        return;
    bool opened = readonly_open(&tunables, sizeof tunables);
    if (opened) {
        tunables = fresh;
        readonly_shut(&tunables, sizeof tunables);
        keep_folder(&fresh);
    }
    atomic_store_explicit(&environment_state, ENVIRONMENT_READ, memory_order_release);
    if (opened && fresh.log[0] != '\0')
        finding_set_log(tunables.log);
    if (opened && fresh.symbolizer[0] != '\0')
        symbolizer_set(tunables.symbolizer, (unsigned)tunables.symbolizer_seconds);
    if (opened)
        environment_apply(variables, &fresh, complain_on_stderr);
    else
        report_line("the system refuses to make the page of the options writable; all are at their defaults");
}

/* The thread that was setting them is gone, or is this one and goes on. */
static void forked(void) {
    report_forked();
    int being_set = ENVIRONMENT_BEING_SET;
    atomic_compare_exchange_strong(&environment_state, &being_set, ENVIRONMENT_UNREAD);
}

const struct lock_set environment_locks = {.rank = LOCK_NONE, .forked = forked};
