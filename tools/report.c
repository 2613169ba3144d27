/* SPDX-License-Identifier: MIT */
/* `myalloc report [OPTIONS] FILE...`: who holds the memory, by heap profiles that the library wrote. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "command.h"
#include "gzip.h"
#include "memory.h"
#include "message.h"
#include "out_file.h"
#include "report_folded.h"
#include "report_pprof_text.h"
#include "report_html.h"
#include "report_pprof.h"
#include "report_speedscope.h"
#include "report_table.h"
#include "sheet.h"

enum { ROWS = 20, COLUMNS_LEAST = 60, NUMBER_DIGITS = 4 };
enum output { OUT_PPROF, OUT_PPROF_TEXT, OUT_FOLDED, OUT_SPEEDSCOPE, OUT_HTML, OUTPUTS };

static const char *const output_options[OUTPUTS] = {[OUT_PPROF] = "--pprof", [OUT_PPROF_TEXT] = "--pprof-text",
                                                     [OUT_FOLDED] = "--folded", [OUT_SPEEDSCOPE] = "--speedscope",
                                                     [OUT_HTML] = "--html"};

struct settings {
    struct table_form form;
    bool has_lines, is_timeline;
    struct moment *moments; /* of a timeline: one for each file */
    const char *out[OUTPUTS]; /* paths, or NULL */
    bool has_output;
    char **files;
    size_t count;
};

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static bool set_flag(struct settings *settings, const char *option)
{
    struct table_form *form = &settings->form;
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--lines", &settings->has_lines}, {"--stacks", &form->has_stacks}, {"--exact", &form->is_exact},
                 {"--diff", &form->is_change}, {"--tags", &form->is_by_tag}, {"--lives", &form->has_lives},
                 {"--timeline", &settings->is_timeline}};

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (!strcmp(option, flags[i].name))
            return *flags[i].flag = true;
    }
    if (!strcmp(option, "--alloc") || !strcmp(option, "--peak")) {
        form->kind = option[2] == 'a' ? HEAP_ALL : HEAP_PEAK;
        return true;
    }
    return false;
}

static int set_rows(struct settings *settings, const char *value)
{
    char *end;

    errno = 0;
    settings->form.rows = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno)
        return fail_in(STATUS_USAGE, "report", "--top takes a number of rows, 0 for all, not '%s'", value);
    return 0;
}

/* An option with a value. Returns the exit status; 0: all is well. */
static int set_value(struct settings *settings, const char *option, const char *value)
{
    size_t output = 0;

    while (output < OUTPUTS && strcmp(option, output_options[output]))
        output++;
    if (output == OUTPUTS)
        return set_rows(settings, value);
    for (size_t i = 0; i < OUTPUTS; i++) {
        if (settings->out[i] && i != output && !strcmp(settings->out[i], value))
            return fail_in(STATUS_USAGE, "report", "%s and %s are to be written to the same file, '%s'", output_options[i],
                           option, value);
    }
    settings->out[output] = value;
    settings->has_output = true;
    return 0;
}

static int read_arguments(struct settings *settings, int argc, char **argv)
{
    bool is_over = false; /* options, by "--" */

    for (int i = 1; i < argc; i++) {
        int status = 0;

        if (is_over || argv[i][0] != '-' || !argv[i][1])
            settings->files[settings->count++] = argv[i];
        else if (!strcmp(argv[i], "--"))
            is_over = true;
        else if (!set_flag(settings, argv[i]))
            status = set_value(settings, argv[i], argv[i + 1]), i++;
        if (status)
            return status;
    }
    if (!settings->count)
        return fail_in(STATUS_USAGE, "report", "needs a heap profile, as 'myalloc profile PROGRAM' writes them; see "
                       "'myalloc help report'");
    if (settings->form.is_change && settings->form.has_lives)
        return fail_in(STATUS_USAGE, "report", "--lives tells of what is free, which has no growth; leave --diff out");
    if (settings->form.is_change && settings->count != 2)
        return fail_in(STATUS_USAGE, "report", "--diff takes two profiles, before and after, not %zu", settings->count);
    if (settings->form.is_change && (settings->out[OUT_SPEEDSCOPE] || settings->out[OUT_PPROF_TEXT]))
        return fail_in(STATUS_USAGE, "report", "%s has no form for growth; --diff goes with --html, --folded and --pprof",
                       output_options[settings->out[OUT_SPEEDSCOPE] ? OUT_SPEEDSCOPE : OUT_PPROF_TEXT]);
    if (settings->is_timeline && (settings->form.is_change || settings->count < 2))
        return fail_in(STATUS_USAGE, "report", "--timeline takes two profiles and more, in the order of time, and no --diff");
    if (settings->is_timeline && (settings->out[OUT_PPROF] || settings->out[OUT_PPROF_TEXT] || settings->out[OUT_FOLDED] ||
                                  settings->out[OUT_SPEEDSCOPE]))
        return fail_in(STATUS_USAGE, "report", "--timeline goes with --html, or with none that writes");
    if (settings->out[OUT_PPROF] && !gzip_load())
        return fail_in(EXIT_FAILURE, "report", "--pprof needs " GZIP_LIBRARY "; install the package " GZIP_PACKAGE);
    return 0;
}

/* ---- profiles ---------------------------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The length of a name without the number that the library puts behind a snapshot's. */
static size_t stem_length(const char *path)
{
    size_t length = strlen(path), digits = 0;

    while (digits < length && path[length - digits - 1] >= '0' && path[length - digits - 1] <= '9')
        digits++;
    return digits >= NUMBER_DIGITS && digits + 1 < length && path[length - digits - 1] == '.' ? length - digits - 1 : length;
}

/* Tells of the first two files that are of one process at two times: what is live at both would count twice. */
static void warn_of_snapshots(const struct settings *settings)
{
    if (settings->is_timeline || settings->form.is_change)
        return;
    for (size_t i = 1; i < settings->count; i++) {
        const char *path = settings->files[i];
        size_t length = stem_length(path);

        for (size_t k = 0; k < i; k++) {
            const char *other = settings->files[k];

            if (stem_length(other) != length || strncmp(path, other, length) || !(path[length] || other[length]))
                continue;
            fail_in(0, "report", "%s and %s are of one process at two times, and added up: --timeline shows one after another, "
                    "--diff the growth", other, path);
            return;
        }
    }
}

/* Whether the profile is of the program that the first one is of; `program` is the path of that one, "" before it. */
static int check_program(const struct settings *settings, size_t at, const struct heap_profile *profile, char **program)
{
    const struct heap_map *map = heap_profile_program(profile);
    const char *path = map ? map->path : "[unknown]";

    if (!*program)
        *program = memory_copy(path, strlen(path));
    if (strcmp(base_name(path), base_name(*program)))
        return fail_in(EXIT_FAILURE, "report", "%s: is of %s, but %s of %s; give profiles of one program", settings->files[at],
                       path, settings->files[0], *program);
    return 0;
}

static enum samples_part part_of(const struct settings *settings, size_t at)
{
    if (settings->is_timeline)
        return SAMPLES_MOMENT;
    return settings->form.is_change && at == 0 ? SAMPLES_BEFORE : SAMPLES_NOW;
}

static int read_profiles(const struct settings *settings, struct samples *samples, char **program)
{
    for (size_t i = 0; i < settings->count; i++) {
        const char *path = strcmp(settings->files[i], "-") ? settings->files[i] : "/dev/stdin";
        struct heap_profile profile;
        const char *wrong = heap_profile_read(path, &profile);
        int status;

        if (wrong)
            return fail_in(EXIT_FAILURE, "report", "%s: %s", settings->files[i], wrong);
        status = check_program(settings, i, &profile, program);
        if (settings->is_timeline)
            settings->moments[i] = (struct moment){settings->files[i], profile.written, profile.totals};
        if (!status && !samples_add(samples, &profile, part_of(settings, i), i))
            status = fail_in(EXIT_FAILURE, "report", "%s: has numbers that are too large to be added to those of the others; "
                             "leave it out", settings->files[i]);
        heap_profile_free(&profile);
        if (status)
            return status;
    }
    return 0;
}

/* ---- outputs ----------------------------------------------------------------------------------------------------- */

static bool write_output(FILE *out, enum output output, const struct settings *settings, const struct stacks *stacks)
{
    const struct table_form *form = &settings->form;

    switch (output) {
    case OUT_PPROF:
        return report_pprof(out, stacks->samples);
    case OUT_PPROF_TEXT:
        report_pprof_text(out, stacks->samples, form->kind == HEAP_PEAK ? HEAP_PEAK : HEAP_LIVE);
        return true;
    case OUT_FOLDED:
        report_folded(out, stacks, form->kind, form->is_change);
        return true;
    case OUT_SPEEDSCOPE:
        report_speedscope(out, stacks, form->kind, form->of);
        return true;
    default:
        report_html(out, stacks, form, settings->moments);
        return true;
    }
}

static int write_outputs(const struct settings *settings, const struct stacks *stacks)
{
    for (int i = 0; i < OUTPUTS; i++) {
        const char *path = settings->out[i];
        FILE *out = path ? out_file_open(path) : NULL;
        bool is_whole = !path || (out && write_output(out, i, settings, stacks));

        if (!path)
            continue;
        if (!out || !out_file_close(is_whole))
            return fail_in(EXIT_FAILURE, "report", "%s: cannot be written: %s", path, out_file_error());
    }
    return 0;
}

static void set_terminal(struct table_form *form)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    struct winsize size;

    form->is_wide = sheet_locale_is_wide();
    if (!isatty(STDOUT_FILENO))
        return;
    form->has_colours = (!no_colour || !*no_colour) && terminal && strcmp(terminal, "dumb") != 0;
    form->columns = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
    form->columns = form->columns < COLUMNS_LEAST ? COLUMNS_LEAST : form->columns;
}

/* What the profiles are of, in few words. */
static char *subject(const struct settings *settings, const char *program, const struct samples *samples)
{
    int64_t interval = samples->interval;

    if (settings->form.is_change)
        return memory_format("%s, from %s to %s", base_name(program), settings->files[0], settings->files[1]);
    if (settings->is_timeline)
        return memory_format("%s, %zu snapshots", base_name(program), settings->count);
    if (settings->count > 1)
        return memory_format("%s, %zu profiles", base_name(program), settings->count);
    if (interval == 1)
        return memory_format("%s, all blocks recorded", base_name(program));
    if (interval % 1024)
        return memory_format("%s, one byte in %" PRId64 " sampled", base_name(program), interval);
    return memory_format("%s, one byte in %" PRId64 "K sampled", base_name(program), interval / 1024);
}

static int report(struct settings *settings, struct samples *samples, const char *program)
{
    static struct stacks stacks;

    samples_name(samples);
    stacks_make(&stacks, samples, settings->form.is_by_tag ? STACKS_BY_TAG
                                  : settings->has_lines    ? STACKS_BY_LINE
                                                           : STACKS_BY_FUNCTION);
    settings->form.is_sampled = samples->interval_most > 1;
    settings->form.of = subject(settings, program, samples);
    if (settings->has_output)
        return write_outputs(settings, &stacks);
    set_terminal(&settings->form);
    if (settings->is_timeline && settings->form.is_by_tag)
        report_moments_by_tag(&stacks, settings->moments, &settings->form);
    else if (settings->is_timeline)
        report_moments(settings->moments, settings->count, &settings->form);
    else
        report_table(&stacks, &settings->form);
    return EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
    struct settings settings = {.form = {.rows = ROWS}, .files = memory_new((size_t)argc * sizeof *settings.files)};
    static struct samples samples;
    char *program = NULL;
    int status;

    status = read_arguments(&settings, argc, argv);
    settings.form.has_stacks |= settings.form.is_change;
    if (!status && settings.is_timeline) {
        samples.moment_count = settings.count;
        settings.moments = memory_new(settings.count * sizeof *settings.moments);
    }
    if (!status)
        warn_of_snapshots(&settings);
    if (!status)
        status = read_profiles(&settings, &samples, &program);
    return status ? status : report(&settings, &samples, program);
}

static const struct command_option own_options[] = {{"--alloc", NULL}, {"--peak", NULL}, {"--diff", NULL}, {"--timeline", NULL},
    {"--stacks", NULL}, {"--tags", NULL}, {"--lives", NULL}, {"--lines", NULL}, {"--top", "N"}, {"--exact", NULL},
    {"--pprof", "FILE"}, {"--pprof-text", "FILE"}, {"--folded", "FILE"}, {"--speedscope", "FILE"},
    {"--html", "FILE"}, {NULL, NULL}};

const struct command command_report = {
    .name = "report",
    .arguments = "[OPTIONS] FILE...",
    .summary = "Tell who holds the memory, by heap profiles",
    .details = "FILE is a heap profile that the library wrote ('myalloc profile'), - standard input; several of one program\n"
               "are added up. The table has what each function has allocated itself (FLAT) and together with what it\n"
               "called (CUM), in bytes and objects; of what is live, if nothing else is asked for.\n"
               "\n"
               "  --alloc           what was allocated in all\n"
               "  --peak            what was live at the peak\n"
               "  --diff            of two profiles: the growth from the first to the second, by call stack\n"
               "  --timeline        files are snapshots in the order of time, not added up: a row for each, or with --html a\n"
               "                    page in which each can be looked at, and the growth from one to another\n"
               "  --stacks          a row for each call stack\n"
               "  --tags            a row for each tag that threads had (myalloc_tag), instead of functions; with --timeline\n"
               "                    a column for each\n"
               "  --lives           of what each function has allocated and is free, how long it lived\n"
               "  --lines           functions with their lines\n"
               "  --top N           so many rows, 20; 0: all\n"
               "  --exact           whole numbers\n"
               "  --pprof FILE      write pprof's profile.proto, gzip; 'go tool pprof FILE' reads it\n"
               "  --pprof-text FILE write pprof's older text, heap_v2, which 'google-pprof PROGRAM FILE' reads, too; with\n"
               "                    --peak of the peak\n"
               "  --folded FILE     write folded stacks; 'flamegraph.pl FILE' draws them\n"
               "  --speedscope FILE write it for speedscope, a viewer\n"
               "  --html FILE       write a page with a flame graph for a browser; it needs nothing else\n"
               "\n"
               "With one that writes there is no table; FILE may be - for standard output. Names come from debug\n"
               "information as in 'myalloc symbolize'; without any, a function is shown as MODULE+0xADDRESS.\n",
    .options = own_options,
    .run = run,
};
