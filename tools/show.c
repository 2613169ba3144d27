/* SPDX-License-Identifier: MIT */
/* `myalloc show [OPTIONS] FILE`: what a recording has, or the recording in the form of other tools. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "lives.h"
#include "message.h"
#include "out_file.h"
#include "replaying.h"
#include "sheet.h"
#include "show_html.h"
#include "to_heaptrack.h"
#include "to_mtrace.h"

enum { ROWS_MOST = 10, AGES = 9, WRONG_BYTES = 256 };

static const double NS = 1e9;

static const struct {
    const char *name;
    uint64_t below; /* nanoseconds */
} ages[AGES] = {{"below 1 us", 1000}, {"below 10 us", 10000}, {"below 100 us", 100000}, {"below 1 ms", 1000000},
                {"below 10 ms", 10000000}, {"below 100 ms", 100000000}, {"below 1 s", 1000000000},
                {"below 10 s", 10000000000}, {"longer", UINT64_MAX}};

static const char *end_text(const struct recording *recording)
{
    if (recording->is_attached)
        return recording->is_whole ? "as long as was asked for" : "not whole: the process ended, or calls are missing";
    return recording->is_whole ? "recorded to its end" : "not to its end: it was killed, or runs still";
}

static void print_head(const struct recording *recording, const struct lives *lives)
{
    if (recording->source[0]) {
        printf("%s: made of %s\n", recording->program, recording->source);
        printf(recording->has_times ? "%.3f s" : "without times", (double)lives->end / NS);
        printf(", all threads as one, %s\n\n", recording->is_whole ? "to its end" : "not to its end");
        return;
    }
    if (recording->is_attached)
        printf("%s: process %d while it ran, on %s\n", recording->program, recording->pid, recording->allocator);
    else
        printf("%s: process %d, forked or begun by %d, on %s\n", recording->program, recording->pid, recording->parent,
               recording->allocator);
    printf("%.3f s, %zu %s, %s\n\n", (double)lives->end / NS, recording->count, recording->count == 1 ? "thread" : "threads",
           end_text(recording));
}

static void print_calls(const struct recording *recording, const struct lives *lives)
{
    char most[FIGURE_BYTES];
    double events = (double)lives->events;

    printf("%-26s %14" PRIu64, "events", lives->events);
    if (lives->events)
        printf("   %.2f bytes each in the file, %.2f before compression", (double)recording->bytes / events,
               (double)recording->raw / events);
    putchar('\n');
    for (size_t i = 0; i < RECORDING_RARE; i++) {
        if (lives->calls[i])
            printf("  %-24s %14" PRIu64 "\n", recording_call_names[i], lives->calls[i]);
    }
    if (lives->nulls)
        printf("  %-24s %14" PRIu64 "   among the frees\n", "of NULL", lives->nulls);
    if (lives->rare[RECORDING_REFUSED])
        printf("  %-24s %14" PRIu64 "\n", "refused", lives->rare[RECORDING_REFUSED]);
    if (lives->rare[RECORDING_FOREIGN] + lives->unknown)
        printf("  %-24s %14" PRIu64 "   got before the recording, or by what was not recorded\n", "free of unknown blocks",
               lives->rare[RECORDING_FOREIGN] + lives->unknown);
    if (lives->rare[RECORDING_TRIM])
        printf("  %-24s %14" PRIu64 "\n", "malloc_trim", lives->rare[RECORDING_TRIM]);
    if (lives->touched_of)
        printf("  %-24s %14" PRIu64 "   of %" PRIu64 " bytes in blocks of 128 KiB and more\n", "bytes touched",
               lives->touched_bytes, lives->touched_of);
    printf("%-26s %14" PRIu64 " blocks, %" PRIu64 " bytes\n", "got", lives->blocks, lives->bytes);
    printf("%-26s %14" PRIu64 " blocks, %" PRIu64 " bytes (%s)", "most at once", lives->peak_blocks, lives->peak_bytes,
           figure_bytes(most, (double)lives->peak_bytes));
    if (recording->has_times)
        printf(", at %.3f s", (double)lives->peak_time / NS);
    putchar('\n');
    printf("%-26s %14" PRIu64 " blocks, %" PRIu64 " bytes\n\n", "at the end", lives->live_blocks, lives->live_bytes);
}

/* Half of the blocks that ended had ended then; "" if none did. */
static const char *median_life(const struct lives_class *class, uint64_t step)
{
    static char text[32];
    uint64_t all = 0, sum = 0;
    unsigned bits = 0;
    double ns;

    for (size_t i = 0; i < 65; i++)
        all += class->ages[i];
    if (!all)
        return "";
    while (2 * (sum += class->ages[bits]) < all)
        bits++;
    if (bits < 64 && UINT64_C(1) << bits <= step)
        return snprintf(text, sizeof text, step < 1000000 ? "below %.0f us" : "below %.0f ms",
                        (double)step / (step < 1000000 ? 1e3 : 1e6)), text;
    ns = bits ? 1.5 * (double)(UINT64_C(1) << (bits - 1)) : 0; /* the middle of what has so many bits */
    snprintf(text, sizeof text, ns < 1e3 ? "%.0f ns" : ns < 1e6 ? "%.1f us" : ns < NS ? "%.1f ms" : "%.1f s",
             ns < 1e3 ? ns : ns < 1e6 ? ns / 1e3 : ns < NS ? ns / 1e6 : ns / NS);
    return text;
}

static void print_sizes(const struct recording *recording, const struct lives *lives)
{
    printf("%-26s %14s %9s %14s %9s%s\n", "sizes", "blocks", "bytes", "at the end", "bytes",
           recording->has_times ? "  median life" : "");
    for (unsigned i = 0; i < LIVES_CLASSES; i++) {
        const struct lives_class *class = &lives->classes[i];
        uint64_t least = i ? UINT64_C(1) << (i - 1) : 0, most = i ? least * 2 - 1 : 0;
        char bytes[FIGURE_BYTES], left[FIGURE_BYTES], name[64];

        if (!class->blocks)
            continue;
        snprintf(name, sizeof name, i < 2 ? "%" PRIu64 : "%" PRIu64 " to %" PRIu64, least, most);
        printf("  %-24s %14" PRIu64 " %9s %14" PRIu64 " %9s  %s\n", name, class->blocks,
               figure_bytes(bytes, (double)class->bytes), class->left_blocks, figure_bytes(left, (double)class->left_bytes),
               recording->has_times ? median_life(class, recording->step) : "");
    }
    putchar('\n');
}

static void print_lifetimes(const struct recording *recording, const struct lives *lives)
{
    uint64_t blocks[AGES] = {0};

    for (size_t class = 0; class < LIVES_CLASSES; class++) {
        for (unsigned bits = 0; bits < 65; bits++) {
            uint64_t middle = bits > 1 ? UINT64_C(3) << (bits - 2) : bits; /* of what has so many bits */
            size_t row = 0;

            while (row < AGES - 1 && (middle >= ages[row].below || ages[row].below < recording->step))
                row++;
            blocks[row] += lives->classes[class].ages[bits];
        }
    }
    printf("%-26s %14s\n", "lifetimes", "blocks");
    for (size_t row = 0; row < AGES; row++) {
        if (blocks[row])
            printf("  %-24s %14" PRIu64 "  %5.1f %%\n", ages[row].name, blocks[row],
                   100 * (double)blocks[row] / (double)lives->blocks);
    }
    if (lives->live_blocks)
        printf("  %-24s %14" PRIu64 "  %5.1f %%\n", "to the end", lives->live_blocks,
               100 * (double)lives->live_blocks / (double)lives->blocks);
    putchar('\n');
}

static void print_threads(const struct recording *recording, const struct lives *lives)
{
    size_t rows = recording->count < ROWS_MOST ? recording->count : ROWS_MOST;

    printf("%-10s %12s %12s %9s %12s %12s %12s  %s\n", "threads", "events", "blocks", "bytes", "free own", "others'",
           "by others", "seconds");
    for (size_t i = 0; i < rows; i++) {
        const struct lives_thread *thread = &lives->threads[i];
        char bytes[FIGURE_BYTES];

        printf("  %-8u %12" PRIu64 " %12" PRIu64 " %9s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "  %.3f to %.3f\n",
               recording->threads[i].number, thread->events, thread->blocks, figure_bytes(bytes, (double)thread->bytes),
               thread->own, thread->others, thread->by_others, (double)thread->begun / NS, (double)thread->ended / NS);
    }
    if (rows < recording->count)
        printf("  and %zu more\n", recording->count - rows);
}

static void print_pairs(const struct recording *recording, const struct lives *lives)
{
    size_t rows = lives->pair_count < ROWS_MOST ? lives->pair_count : ROWS_MOST;

    if (rows)
        printf("\nwho gives back whose\n");
    for (size_t i = 0; i < rows; i++) {
        const struct lives_pair *pair = &lives->pairs[i];
        char bytes[FIGURE_BYTES];

        printf("  thread %u gives back of thread %u: %" PRIu64 " blocks, %s\n", recording->threads[pair->by].number,
               recording->threads[pair->owner].number, pair->blocks, figure_bytes(bytes, (double)pair->bytes));
    }
    if (rows < lives->pair_count)
        printf("  and %zu more pairs\n", lives->pair_count - rows);
}

static int show(const struct recording *recording)
{
    struct lives lives;
    const char *damage = lives_read(&lives, recording);

    if (damage)
        return fail_in(EXIT_FAILURE, "show", "cannot read '%s': %s", recording->path, damage);
    print_head(recording, &lives);
    print_calls(recording, &lives);
    if (lives.blocks)
        print_sizes(recording, &lives);
    if (lives.blocks && recording->has_times)
        print_lifetimes(recording, &lives);
    if (!recording->source[0]) {
        print_threads(recording, &lives);
        print_pairs(recording, &lives);
    }
    lives_free(&lives);
    return EXIT_SUCCESS;
}

static const char *to_page(FILE *out, const struct recording *recording)
{
    struct lives lives;
    const char *wrong = lives_read(&lives, recording);

    if (!wrong)
        show_html(out, recording, &lives);
    lives_free(&lives);
    return wrong;
}

/* In the form that the option names. */
static int write_form(const struct recording *recording, const char *option, const char *path)
{
    FILE *out = out_file_open(path);
    const char *wrong;

    if (!out)
        return fail_in(EXIT_FAILURE, "show", "cannot write '%s': %s", path, out_file_error());
    if (!strcmp(option, "--html"))
        wrong = to_page(out, recording);
    else
        wrong = !strcmp(option, "--mtrace") ? to_mtrace(out, recording) : to_heaptrack(out, path, recording);
    if (!out_file_close(!wrong) && !wrong)
        return fail_in(EXIT_FAILURE, "show", "cannot write '%s': %s", path, out_file_error());
    return wrong ? fail_in(EXIT_FAILURE, "show", "%s: '%s' cannot be written so: %s", option, recording->path, wrong)
                 : EXIT_SUCCESS;
}

static const struct command_option own_options[] = {{"--html", "FILE"}, {"--mtrace", "FILE"},
    {"--heaptrack", "FILE"}, {NULL, NULL}};

static int run(int argc, char **argv)
{
    struct recording recording;
    char wrong[WRONG_BYTES], *file = NULL;

    if (replaying_take_files(own_options, &argc, argv, &file) != 1)
        return fail_in(STATUS_USAGE, "show", "it takes the file of one recording; see 'myalloc help show'");
    if (argc > 3)
        return fail_in(STATUS_USAGE, "show", "%s and %s are two forms of the same; give one", argv[1], argv[3]);
    if (!recording_open(&recording, file, wrong))
        return fail_in(EXIT_FAILURE, "show", "cannot read '%s': %s", file, wrong);
    if (recording.lost)
        fail_in(0, "show", "'%s': the last %lld bytes are no whole frame, and are left out", file, (long long)recording.lost);
    return argc > 1 ? write_form(&recording, argv[1], argv[2]) : show(&recording);
}

const struct command command_show = {
    .name = "show",
    .arguments = "[OPTIONS] FILE",
    .summary = "Tell what a recording has: sizes, lifetimes, threads",
    .details = "FILE is what 'myalloc record' has written: the calls of one process. Calls, sizes with what is left of them\n"
               "at the end, lifetimes, threads, and who gives back whose blocks. A realloc ends one block and begins another.\n"
               "A thread without a beginning stands for calls that threads made after their end.\n"
               "\n"
               "  --html FILE       write a page for a browser: the same, live memory over time, sizes by lifetimes; it needs\n"
               "                    nothing else\n"
               "  --mtrace FILE     write it as a log that glibc's mtrace reads; each block has an address of its own\n"
               "  --heaptrack FILE  write it as a file that heaptrack_print and heaptrack_gui read; with .gz or .zst at the\n"
               "                    end of its name compressed\n"
               "\n"
               "Of each, - is standard output. In the place of callers, which a recording does not have, stand the call and\n"
               "the thread. A recording of a program that was killed is read as far as it goes, one that is damaged not at\n"
               "all. The exit status is 0, 1 if it cannot be read or not be written so, 2 if the command line is wrong.\n",
    .options = own_options,
    .run = run,
};
