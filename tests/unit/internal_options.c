/* SPDX-License-Identifier: MIT */
/* The parser of the options, on texts good, bad and random; control groups; the budget. */
#include <criterion/criterion.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kit/budget.h"
#include "kit/environment.h"
#include "base/myalloc.h"
#include "os_fake.h"
#include "tap.h"
#include "kit/tunables.h"

/* ---- values ------------------------------------------------------------------------------------------------------ */

static const struct tunable *tunable(const char *name) {
    for (const struct tunable *row = tunables_rows; row < tunables_rows + TUNABLES; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    abort();
}

static size_t number(const struct tunables *from, const char *name) {
    return *(const size_t *)(const void *)((const char *)from + tunable(name)->offset);
}

Test(options, values) {
    static const struct {
        const char *name, *text;
        size_t value;
        const char *wrong; /* NULL: it is taken */
    } cases[] = {
        {"top_pad", "0", 0, NULL},
        {"top_pad", "1", 1, NULL},
        {"top_pad", "64k", 65536, NULL},
        {"top_pad", "64K", 65536, NULL},
        {"top_pad", "3m", 3 << 20, NULL},
        {"top_pad", "2g", (size_t)2 << 30, NULL},
        {"top_pad", "1T", (size_t)1 << 40, NULL},
        {"top_pad", "0x10", 16, NULL},
        {"top_pad", "0Xff", 255, NULL},
        {"top_pad", "0x1k", 1024, NULL},
        {"top_pad", "010", 8, NULL},
        {"top_pad", "00", 0, NULL},
        {"top_pad", "08", 0, "is not a size"},
        {"top_pad", "0x", 0, "is not a size"},
        {"top_pad", "0xg", 0, "is not a number"},
        {"top_pad", "", 0, "is empty"},
        {"top_pad", " 1", 0, "is not a number"},
        {"top_pad", "1 ", 0, "is not a size"},
        {"top_pad", "1kb", 0, "is not a size"},
        {"top_pad", "1kk", 0, "is not a size"},
        {"top_pad", "k", 0, "is not a number"},
        {"top_pad", "+1", 0, "is not a number"},
        {"top_pad", "-1", 0, "is negative"},
        {"top_pad", "-", 0, "is not a number"},
        {"top_pad", "none", 0, "is not a number"},
        {"top_pad", "1.5m", 0, "is not a size"},
        {"top_pad", "1e3", 0, "is not a size"},
        {"top_pad", "9223372036854775807", SIZE_LIMIT, NULL},
        {"top_pad", "9223372036854775808", 0, "is too large"},
        {"top_pad", "18446744073709551615", 0, "is too large"},
        {"top_pad", "18446744073709551616", 0, "is too large"},
        {"top_pad", "99999999999999999999999999", 0, "is too large"},
        {"top_pad", "0xfffffffffffffffff", 0, "is too large"},
        {"top_pad", "16777216t", 0, "is too large"},
        {"top_pad", "8388608t", 0, "is too large"},
        {"top_pad", "8388607t", (size_t)8388607 << 40, NULL},
        {"trim_threshold", "-1", SIZE_MAX, NULL},
        {"trim_threshold", "none", SIZE_MAX, NULL},
        {"trim_threshold", "-2", 0, "is negative"},
        {"trim_threshold", "18446744073709551615", SIZE_MAX, NULL},
        {"mmap_max", "100", 100, NULL},
        {"mmap_max", "1k", 0, "is not a number"},
        {"decay_ms", "3600000", 3600000, NULL},
        {"decay_ms", "3600001", 0, "is too large"},
        {"decay_ms", "1s", 0, "is not a number"},
        {"perturb", "255", 255, NULL},
        {"perturb", "256", 0, "is too large"},
        {"check", "3", 3, NULL},
        {"check", "4", 0, "is too large"},
        {"arena_max", "0", 0, NULL},
        {"arena_max", "1", 1, NULL},
        {"mxfast", "160", 160, NULL},
        {"mxfast", "161", 0, "is too large"},
        {"populate", "on", 1, NULL},
        {"populate", "off", 0, NULL},
        {"populate", "1", 1, NULL},
        {"populate", "2", 0, "is too large"},
        {"populate", "auto", 0, "is none of its values"},
        {"populate", "ON", 0, "is none of its values"},
        {"populate", "o", 0, "is none of its values"},
        {"unwind", "tables", 0, NULL},
        {"unwind", "fp", 1, NULL},
        {"unwind", "2", 0, "is too large"},
        {"unwind", "frames", 0, "is none of its values"},
        {"hugepages", "auto", 1, NULL},
        {"hugepages", "on", 2, NULL},
        {"hugepages", "off", 0, NULL},
        {"hugepages", "3", 0, "is too large"},
        {"hugepages", "off on", 0, "is none of its values"},
        {"hugepages", "off,", 0, "is none of its values"},
        {"hugepages", "off, auto", 0, "is none of its values"},
        {"protect", "paranoid", 3, NULL},
        {"protect", "on", 0, "is none of its values"},
        {"protect", "4", 0, "is too large"},
        {"fault_report", "yes", 0, "is none of its values"},
        {"limit", "512m", (size_t)512 << 20, NULL},
        {"limit", "cgroup", LIMIT_CGROUP, NULL},
        {"limit", "none", SIZE_MAX, NULL},
        {"limit", "cgroups", 0, "is not a number"},
        {"limit", "1048575", 0, "is too small"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tunables into = tunables;
        size_t before = number(&into, cases[i].name);
        const char *wrong = tunables_set_text(&into, tunable(cases[i].name), cases[i].text, strlen(cases[i].text));
        const char *expected = cases[i].wrong;
        cr_expect(wrong == NULL ? expected == NULL : expected != NULL && strcmp(wrong, expected) == 0,
                  "%s:%s is \"%s\"", cases[i].name, cases[i].text, wrong ? wrong : "taken");
        cr_expect_eq(number(&into, cases[i].name), expected ? before : cases[i].value, "%s:%s", cases[i].name,
                     cases[i].text);
    }
}

Test(options, texts) {
    char long_text[TUNABLE_TEXT_MAX + 2];
    struct tunables into = tunables;
    memset(long_text, 'x', sizeof long_text);
    cr_expect_null(tunables_set_text(&into, tunable("stats"), "file:%p", 7));
    cr_expect_str_eq(into.stats, "file:%p");
    cr_expect_null(tunables_set_text(&into, tunable("stats"), "12345", 1));
    cr_expect_str_eq(into.stats, "1");
    cr_expect_null(tunables_set_text(&into, tunable("trace"), long_text, TUNABLE_TEXT_MAX));
    cr_expect_eq(strlen(into.trace), TUNABLE_TEXT_MAX);
    cr_expect_str_eq(tunables_set_text(&into, tunable("trace"), long_text, TUNABLE_TEXT_MAX + 1), "is too long");
    cr_expect_str_eq(tunables_set_text(&into, tunable("trace"), "", 0), "is empty");
    cr_expect_eq(strlen(into.trace), TUNABLE_TEXT_MAX);
}

static struct tunables apply(char *const *variables);
static int complaints;

Test(options, quotes) {
    static const struct {
        const char *given, *stats, *shown;
        size_t top_pad;
        int complaints;
    } cases[] = {
        {"stats:'a,b',top_pad:5", "a,b", "\"a,b\"", 5, 0},   {"stats:\"a,b\",top_pad:5", "a,b", "\"a,b\"", 5, 0},
        {"top_pad:'5',stats:\"it's\"", "it's", "it's", 5, 0}, {"stats:'\"a,\"'", "\"a,\"", "'\"a,\"'", 0, 0},
        {"stats:a'b',top_pad:5", "a'b'", "a'b'", 5, 0},      {"stats:'a", "", "", 0, 1},
        {"stats:'a,top_pad:5", "", "", 5, 1},                {"stats:'a'b,top_pad:5", "", "", 5, 1},
        {"stats:'a'b',top_pad:5", "", "", 5, 1},             {"stats:'',top_pad:5", "", "", 5, 1},
        {"stats:',',top_pad:5", ",", "\",\"", 5, 0},         {"stats:'", "", "", 0, 1},
        {"x'y:1,top_pad:5", "", "", 5, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128], shown[TUNABLE_TEXT_MAX + 3], *variables[] = {text, NULL};
        snprintf(text, sizeof text, "MYALLOC_OPTIONS=%s", cases[i].given);
        struct tunables into = apply(variables);
        cr_expect_str_eq(into.stats, cases[i].stats, "%s: %s", text, into.stats);
        cr_expect_eq(into.top_pad, cases[i].top_pad, "%s", text);
        cr_expect_eq(complaints, cases[i].complaints, "%s", text);
        cr_expect_str_eq(tunables_value(&into, tunable("stats"), shown, sizeof shown), cases[i].shown, "%s: %s", text, shown);
    }
}

/* Values that make no sense, for every option there is. */
Test(options, no_option_takes_what_makes_no_sense) {
    static const char *const never[] = {"", " ", " 1", "1 ", "\t1", "1\n", "-2", "-99999999999999999999", "1 leaks:1",
                                        "1;stats:1", "1:check:3", "yes", "no", "true", "false", "-"};
    static const char *const no_number[] = {"99999999999999999999999", "0x", "1e3", "+1", "nan", "inf", "1,",
                                            "1 2", "--1", "1.5", "one"};
    for (const struct tunable *row = tunables_rows; row < tunables_rows + TUNABLES; row++) {
        struct tunables into = tunables;
        bool text = row->kind == TUNABLE_TEXT;
        for (size_t i = 0; i < sizeof never / sizeof *never; i++)
            cr_expect_not_null(tunables_set_text(&into, row, never[i], strlen(never[i])), "%s:%s is taken", row->name,
                               never[i]);
        for (size_t i = 0; i < sizeof no_number / sizeof *no_number && !text; i++)
            cr_expect_not_null(tunables_set_text(&into, row, no_number[i], strlen(no_number[i])), "%s:%s is taken", row->name,
                               no_number[i]);
        const char *minus = tunables_set_text(&into, row, "-1", 2);
        bool none = !text && row->most == SIZE_MAX && row->glibc[0] != '\0';
        cr_expect_eq(minus == NULL, none, "%s:-1", row->name);
        if (!none)
            cr_expect_eq(memcmp(&into, &tunables, sizeof into), 0, "%s has changed", row->name);
    }
}

/* A text is a file's name: what looks like something else is refused, but for the number that `stats` takes. */
Test(options, a_file_is_named_like_one) {
    for (const struct tunable *row = tunables_rows; row < tunables_rows + TUNABLES; row++) {
        struct tunables into = tunables;
        if (row->kind != TUNABLE_TEXT)
            continue;
        cr_expect_eq(tunables_set_text(&into, row, "2", 1) == NULL, strcmp(row->name, "stats") == 0, "%s:2", row->name);
        for (const char *const *name = (const char *const[]){"on", "off", "none", NULL}; *name != NULL; name++)
            cr_expect_not_null(tunables_set_text(&into, row, *name, strlen(*name)), "%s:%s", row->name, *name);
        static const char *const names[] = {"./2", "a b", "x:y", "a leaks", "my leaks.txt", "-1.json", "2x", NULL};
        for (const char *const *name = names; *name != NULL; name++)
            cr_expect_null(tunables_set_text(&into, row, *name, strlen(*name)), "%s:%s", row->name, *name);
    }
}

/* What a value is shown as is taken again, and gives the same. */
Test(options, shown_values_are_taken) {
    static const size_t values[] = {0,     1,       2,       3,          1000,     1024,        1536,
                                    65536, 1 << 20, 3 << 20, SIZE_LIMIT, SIZE_MAX, LIMIT_CGROUP};
    for (const struct tunable *row = tunables_rows; row < tunables_rows + TUNABLES; row++)
        for (size_t i = 0; row->kind != TUNABLE_TEXT && i < sizeof values / sizeof *values; i++) {
            struct tunables into = tunables, again = tunables;
            char text[300];
            if (values[i] < row->least || values[i] > row->most ||
                (values[i] == LIMIT_CGROUP && row->kind != TUNABLE_LIMIT))
                continue;
            *(size_t *)(void *)((char *)&into + row->offset) = values[i];
            tunables_value(&into, row, text, sizeof text);
            cr_expect_null(tunables_set_text(&again, row, text, strlen(text)), "%s:%s", row->name, text);
            cr_expect_eq(number(&again, row->name), values[i], "%s:%s", row->name, text);
        }
}

/* ---- variables --------------------------------------------------------------------------------------------------- */

static size_t longest;
static bool printable;
static char last[512];

static void complain(const char *line) {
    complaints++;
    longest = strlen(line) > longest ? strlen(line) : longest;
    for (const char *c = line; *c != '\0'; c++)
        printable = printable && *c >= 0x20 && *c < 0x7f;
    snprintf(last, sizeof last, "%s", line);
}

static struct tunables apply(char *const *variables) {
    struct tunables into = tunables;
    complaints = 0;
    longest = 0;
    printable = true;
    environment_apply(variables, &into, complain);
    return into;
}

Test(options, precedence) {
    char *all[] = {"MYALLOC_OPTIONS=top_pad:3", "GLIBC_TUNABLES=glibc.malloc.top_pad=2", "MALLOC_TOP_PAD_=1", NULL};
    char *two[] = {"GLIBC_TUNABLES=glibc.malloc.top_pad=2", "MALLOC_TOP_PAD_=1", NULL};
    char *one[] = {"MALLOC_TOP_PAD_=1", "MALLOC_TOP_PAD_=7", NULL};
    cr_expect_eq(apply(all).top_pad, 3);
    cr_expect_eq(apply(two).top_pad, 2);
    cr_expect_eq(apply(one).top_pad, 1);
    cr_expect_eq(complaints, 0);
}

/* Each option by itself, and beside those that it needs. */
Test(options, what_does_nothing_is_told) {
    static const struct {
        const char *option, *beside[6];
    } cases[] = {
        {"sample_interval:7", {"protect:sample", "protect:paranoid"}},
        {"sample_memory:1m", {"protect:sample", "protect:paranoid"}},
        {"fault_report:on", {"protect:sample", "protect:paranoid"}},
        {"fault_stacks:on", {"fault_report:on,protect:sample", "fault_report:on,protect:paranoid"}},
        {"mismatch:off", {"protect:sample", "protect:check", "protect:paranoid", "check:1"}},
        {"wrong_size:off", {"protect:sample", "check:3"}},
        {"overrun:off", {"protect:sample", "check:3"}},
        {"double_free:off", {"protect:sample", "check:3"}},
        {"late_write:off", {"protect:sample", "check:3"}},
        {"bad_pointer:off", {"protect:sample", "check:3"}},
        {"stack_depth:3", {"leaks:1", "check:1", "protect:sample", "profile:1"}},
        {"leaks_exit:3", {"leaks:1", "leaks:2"}},
        {"leaks_suppress:file", {"leaks:1", "leaks:2"}},
        {"symbolizer_seconds:3", {"symbolizer:file"}},
        {"at_signals:on", {"stats:1", "leaks:1", "check:1", "protect:sample", "profile:1"}},
        {"profile_interval:1m", {"profile:1"}},
        {"profile_seed:7", {"profile:1"}},
        {"profile_out:file", {"profile:1"}},
        {"profile_every_ms:5", {"profile:1"}},
        {"profile_growth:1m", {"profile:1"}},
        {"profile_peak:on", {"profile:1"}},
    };
    char list[128], *variables[] = {list, NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *option = cases[i].option;
        size_t name = strcspn(option, ":");
        snprintf(list, sizeof list, "MYALLOC_OPTIONS=%s", option);
        apply(variables);
        cr_expect_eq(complaints, 1, "%s by itself", option);
        cr_expect(strncmp(last, "MYALLOC_OPTIONS: ", 17) == 0 && strncmp(last + 17, option, name) == 0 &&
                      strstr(last, " does nothing without ") != NULL,
                  "%s", last);
        for (const char *const *other = cases[i].beside; *other != NULL; other++) {
            snprintf(list, sizeof list, "MYALLOC_OPTIONS=%s,%s", option, *other);
            apply(variables);
            cr_expect_eq(complaints, 0, "%s beside %s: %s", option, *other, last);
        }
    }
    for (const struct tunable *row = tunables_rows; row < tunables_rows + TUNABLES; row++) { /* and no other */
        bool known = false;
        char value[TUNABLE_TEXT_MAX + 1];
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            known = known || strncmp(cases[i].option, row->name, strlen(row->name)) == 0;
        tunables_value(&tunables, row, value, sizeof value);
        snprintf(list, sizeof list, "MYALLOC_OPTIONS=%s:%s", row->name, value[0] != '\0' ? value : "file");
        apply(variables);
        cr_expect(known || complaints == 0, "%s: %s", list, last);
    }
}

Test(options, what_ends_the_dynamic_rule) {
    char *none[] = {"MYALLOC_OPTIONS=decay_ms:3,hugepages:on", NULL};
    cr_expect_eq(apply(none).dynamic_threshold, 1);
    char *ending[] = {"MALLOC_MMAP_THRESHOLD_=131072",
                      "MALLOC_MMAP_MAX_=65536",
                      "MALLOC_TRIM_THRESHOLD_=262144",
                      "MALLOC_TOP_PAD_=0",
                      "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=1",
                      "MYALLOC_OPTIONS=mmap_max:1"};
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        char *variables[] = {ending[i], NULL};
        cr_expect_eq(apply(variables).dynamic_threshold, 0, "%s", ending[i]);
    }
    char *bad[] = {"MALLOC_TOP_PAD_=x", NULL};
    cr_expect_eq(apply(bad).dynamic_threshold, 1);
    cr_expect_eq(complaints, 1);
}

Test(options, every_name_is_known) {
    char text[128];
    char *variables[] = {text, NULL};
    for (const struct tunable *row = tunables_rows; row < tunables_rows + TUNABLES; row++) {
        snprintf(text, sizeof text, "MYALLOC_OPTIONS=%s:1m", row->name);
        bool sized = row->kind == TUNABLE_SIZE || row->kind == TUNABLE_LIMIT;
        struct tunables alone = apply(variables);
        bool wrong = row->kind != TUNABLE_TEXT && (!sized || row->most < MIB);
        cr_expect_eq(complaints, wrong || tunables_lacks(&alone, row) != NULL, "%s", text);
        snprintf(text, sizeof text, "GLIBC_TUNABLES=glibc.malloc.%s=1", row->glibc);
        apply(variables);
        cr_expect_eq(complaints, row->glibc[0] == '\0', "%s", text);
    }
}

/* 1 MiB in each place where a length could matter. */
Test(options, a_mebibyte) {
    static char text[MIB + 64];
    char *variables[] = {text, NULL};
    static const char *const starts[] = {"MYALLOC_OPTIONS=",
                                         "MYALLOC_OPTIONS=top_pad:",
                                         "GLIBC_TUNABLES=glibc.malloc.",
                                         "GLIBC_TUNABLES=glibc.malloc.top_pad=",
                                         "MALLOC_TOP_PAD_=",
                                         "MYALLOC_OPTIONS=stats:"};
    static const char fills[] = {'x', '\n', '\1', (char)0xff, '9', '0', ',', ':', '%'};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        for (size_t k = 0; k < sizeof fills; k++) {
            size_t start = (size_t)sprintf(text, "%s", starts[i]);
            memset(text + start, fills[k], MIB);
            text[start + MIB] = '\0';
            apply(variables);
            cr_expect(printable && longest < 400 && complaints <= COMPLAINTS_MAX + 1, "%s with 0x%02x: %s", starts[i],
                      (unsigned char)fills[k], last);
        }
    memset(text, 0, sizeof text);
    size_t at = (size_t)sprintf(text, "MYALLOC_OPTIONS=");
    while (at < MIB)
        at += (size_t)sprintf(text + at, "a:1,");
    apply(variables);
    cr_expect_eq(complaints, COMPLAINTS_MAX + 1);
    cr_expect_str_eq(last, "262132 more entries of the environment ignored");
}

/* Entries put together from what the parser knows, two thirds of the texts then damaged. */
static void random_text(uint64_t *random, char *out, size_t room) {
    static const char *const names[] = {"MYALLOC_OPTIONS=", "GLIBC_TUNABLES="}, *const colon[] = {":", "="},
                             *const comma[] = {",", ":"};
    static const char *const values[] = {"cgroup", "none", "on",   "auto",     "off",  "%p", "0x",
                                         "0",      "1",    "9",    "64k",      "512m", "1g", "18446744073709551615",
                                         "-1",     "\n",   "\x7f", "\xc3\xa4", " ",    ""};
    size_t glibc = tap_random(random) % 2, at = (size_t)snprintf(out, room, "%s", names[glibc]);
    for (size_t i = tap_random(random) % 6 + 1; i > 0 && at + 200 < room; i--) {
        const struct tunable *row = &tunables_rows[tap_random(random) % TUNABLES];
        at += (size_t)snprintf(out + at, room - at, "%s%s%s%s%s", glibc ? "glibc.malloc." : "",
                               glibc ? row->glibc : row->name, colon[glibc],
                               values[tap_random(random) % (sizeof values / sizeof *values)], comma[glibc]);
    }
    if (tap_random(random) % 3 == 0)
        return;
    for (size_t i = tap_random(random) % 4 + 1; i > 0; i--)
        out[tap_random(random) % at] = (char)(tap_random(random) % 255 + 1);
}

Test(options, random_texts) {
    uint64_t seed = 20261124, random = seed;
    int taken = 0, refused = 0;
    for (int i = 0; i < 20000; i++) {
        char first[2048], second[2048], *variables[] = {first, second, NULL};
        random_text(&random, first, sizeof first);
        random_text(&random, second, sizeof second);
        struct tunables into = apply(variables);
        cr_assert(printable && longest < 400 && complaints <= COMPLAINTS_MAX + 1, "seed %lu, run %d: %s", seed, i,
                  last);
        for (const struct tunable *row = tunables_rows; row < tunables_rows + TUNABLES; row++) {
            if (row->kind == TUNABLE_TEXT)
                continue;
            size_t value = number(&into, row->name), initial = number(&tunables, row->name);
            cr_assert(value == initial || (value >= row->least && value <= row->most), "seed %lu, run %d: %s", seed, i,
                      row->name);
        }
        cr_assert(memchr(into.stats, '\0', sizeof into.stats) != NULL &&
                  memchr(into.trace, '\0', sizeof into.trace) != NULL);
        taken += memcmp(&into, &tunables, sizeof into) != 0;
        refused += complaints > 0;
    }
    cr_expect(taken > 500 && refused > 5000, "the texts are worth something: %d had an effect, %d a complaint", taken,
              refused);
}

/* ---- once -------------------------------------------------------------------------------------------------------- */

static pthread_barrier_t together;

static void *first_malloc(void *seen) {
    pthread_barrier_wait(&together);
    environment_read();
    *(size_t *)seen = tunables.top_pad;
    return NULL;
}

/* Eight threads whose first allocation comes at the same time: one of them complains, and the values are there. */
Test(options, read_once_by_many) {
    pthread_t threads[8];
    size_t seen[8];
    int out[2], saved = dup(STDERR_FILENO);
    char text[4096];
    setenv("MYALLOC_OPTIONS", "top_pad:5k,bogus:1", 1);
    cr_assert(pipe(out) == 0 && dup2(out[1], STDERR_FILENO) >= 0);
    pthread_barrier_init(&together, NULL, 8);
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, first_malloc, &seen[i]);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    setenv("MYALLOC_OPTIONS", "top_pad:6k,worse:1", 1);
    environment_read();
    dup2(saved, STDERR_FILENO);
    close(out[1]);
    ssize_t length = read(out[0], text, sizeof text - 1);
    text[length > 0 ? length : 0] = '\0';
    cr_expect_str_eq(
        text, "myalloc: MYALLOC_OPTIONS: unknown key 'bogus', ignored ('myalloc options' lists what there is)\n");
    cr_expect_eq(tunables.top_pad, 5120);
}

/* Before libc has set up the environment, the defaults serve, and the next call looks again. */
Test(options, no_environment_yet) {
    char *variables[] = {"MYALLOC_OPTIONS=top_pad:7k", NULL}, **real = environ;
    environ = NULL;
    environment_read();
    cr_expect_eq(environment_state, ENVIRONMENT_UNREAD);
    environ = variables;
    environment_read();
    environ = real;
    cr_expect_eq(environment_state, ENVIRONMENT_READ);
    cr_expect_eq(tunables.top_pad, 7168);
}

/* ---- control groups ---------------------------------------------------------------------------------------------- */

static size_t limit_with(const struct os_fake_file *files) {
    os_fake_files = files;
    tunables.limit = LIMIT_CGROUP;
    return budget_limit();
}

#define SELF "/proc/self/cgroup"
#define ROOT "/sys/fs/cgroup"

Test(cgroup, least_of_the_groups_above) {
    static const struct os_fake_file files[] = {{SELF, "0::/a/b/c\n"},
                                                {ROOT "/a/b/c/memory.max", "max\n"},
                                                {ROOT "/a/b/memory.max", "300000000\n"},
                                                {ROOT "/a/memory.max", "400000000\n"},
                                                {0}};
    cr_expect_eq(limit_with(files), 300000000 - 300000000 / 8);
}

Test(cgroup, the_root_of_a_namespace) {
    static const struct os_fake_file files[] = {{SELF, "0::/\n"}, {ROOT "/memory.max", "268435456\n"}, {0}};
    cr_expect_eq(limit_with(files), 224 * MIB);
}

Test(cgroup, no_limit) {
    static const struct os_fake_file files[] = {{SELF, "0::/x\n"}, {ROOT "/x/memory.max", "max\n"}, {0}};
    cr_expect_eq(limit_with(files), SIZE_MAX);
}

Test(cgroup, version_1) {
    static const struct os_fake_file files[] = {{SELF, "3:cpu,cpuacct:/d\n2:memory:/d/e\n1:name=systemd:/d\n0::/f\n"},
                                                {ROOT "/memory/d/e/memory.limit_in_bytes", "9223372036854771712\n"},
                                                {ROOT "/memory/d/memory.limit_in_bytes", "104857600\n"},
                                                {0}};
    cr_expect_eq(limit_with(files), 84 * MIB);
}

Test(cgroup, a_small_one) {
    static const struct os_fake_file files[] = {{SELF, "0::/\n"}, {ROOT "/memory.max", "20971520\n"}, {0}};
    cr_expect_eq(limit_with(files), 10 * MIB);
}

Test(cgroup, nothing_to_read) {
    static const struct os_fake_file nothing[] = {{0}};
    cr_expect_eq(limit_with(nothing), SIZE_MAX);
}

Test(cgroup, nonsense_to_read) {
    static const struct os_fake_file files[] = {{SELF, ":::\n::\n0:\n\n0::/a//b//\n"},
                                                {ROOT "/a//b/memory.max", "12345678901234567890123\n"},
                                                {ROOT "/memory.max", "\n"},
                                                {0}};
    cr_expect_eq(limit_with(files), SIZE_MAX);
}

/* ---- the budget -------------------------------------------------------------------------------------------------- */

static _Atomic bool passed_over;

static void *charge(void *data) {
    uint64_t random = (uint64_t)(uintptr_t)data;
    size_t held = 0;
    for (int i = 0; i < 100000; i++) {
        size_t bytes = tap_random(&random) % MIB;
        if (tap_random(&random) % 2 && budget_charge(bytes)) {
            held += bytes;
        } else if (held > 0) {
            size_t some = tap_random(&random) % held + 1;
            budget_refund(some);
            held -= some;
        }
        if (budget_taken() > 8 * MIB)
            atomic_store(&passed_over, true);
    }
    budget_refund(held);
    return NULL;
}

Test(budget, threads_never_pass_the_limit) {
    pthread_t threads[8];
    tunables.limit = 8 * MIB;
    for (size_t i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, charge, (void *)(i + 1));
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    cr_expect_not(passed_over);
    cr_expect_eq(budget_taken(), 0);
    cr_expect(budget_peak() <= 8 * MIB && budget_peak() > 6 * MIB, "peak %zu", budget_peak());
}

Test(budget, exact_bounds) {
    tunables.limit = 8 * MIB;
    cr_expect(budget_charge(8 * MIB));
    cr_expect_not(budget_charge(1));
    cr_expect(budget_charge(0));
    budget_refund(1);
    cr_expect(budget_charge(1));
    cr_expect_not(budget_charge(SIZE_MAX));
    tunables.limit = SIZE_MAX;
    cr_expect_not(budget_charge(SIZE_MAX));
    budget_refund(8 * MIB);
    cr_expect_eq(budget_taken(), 0);
}

Test(budget, a_refused_mapping_is_not_charged) {
    os_fake_refuse_map = 1;
    cr_expect_null(budget_map(MIB));
    cr_expect_eq(budget_taken(), 0);
    os_fake_refuse_map = 0;
    void *p = budget_map(MIB);
    cr_expect_eq(budget_taken(), MIB);
    budget_unmap(p, MIB);
    cr_expect_eq(budget_taken(), 0);
}
