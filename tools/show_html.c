/* SPDX-License-Identifier: MIT */
#include "show_html.h"

#include <inttypes.h>

#include "html_page.h"
#include "json_text.h"
#include "show_page.h" /* made of show_page.html: a string */

enum { PAIRS_MOST = 4000 }; /* those that count most; a table of more threads would not be read */

static void put_text(FILE *out, const char *name, const char *text)
{
    fprintf(out, "\"%s\":", name);
    json_text(out, text);
    fputs(",", out);
}

static void put_head(FILE *out, const struct recording *recording, const struct lives *lives)
{
    putc('{', out);
    put_text(out, "program", recording->program);
    put_text(out, "allocator", recording->allocator);
    put_text(out, "source", recording->source);
    fprintf(out, "\"attached\":%s,", recording->is_attached ? "true" : "false");
    fprintf(out, "\"pid\":%d,\"parent\":%d,\"whole\":%s,\"times\":%s,\"step\":%" PRIu64 ",\"end\":%" PRIu64 ",\n",
            recording->pid, recording->parent, recording->is_whole ? "true" : "false", recording->has_times ? "true" : "false",
            recording->step, lives->end);
    fprintf(out, "\"touched\":%" PRIu64 ",\"touchedOf\":%" PRIu64 ",\n", lives->touched_bytes, lives->touched_of);
    fprintf(out, "\"events\":%" PRIu64 ",\"blocks\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"peakBlocks\":%" PRIu64
            ",\"peakBytes\":%" PRIu64 ",\"peakTime\":%" PRIu64 ",\"leftBlocks\":%" PRIu64 ",\"leftBytes\":%" PRIu64 ",\n",
            lives->events, lives->blocks, lives->bytes, lives->peak_blocks, lives->peak_bytes, lives->peak_time,
            lives->live_blocks, lives->live_bytes);
}

static void put_calls(FILE *out, const struct lives *lives)
{
    fputs("\"calls\":[", out);
    for (size_t i = 0; i < RECORDING_RARE; i++)
        fprintf(out, "%s%" PRIu64, i ? "," : "", lives->calls[i]);
    fprintf(out, "],\"nulls\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"unknown\":%" PRIu64 ",\"trims\":%" PRIu64 ",\n",
            lives->nulls, lives->rare[RECORDING_REFUSED], lives->rare[RECORDING_FOREIGN] + lives->unknown,
            lives->rare[RECORDING_TRIM]);
}

/* Those of which there were any: bits of the size, blocks, bytes, blocks and bytes that are left, and of the others how many
   had a lifetime of how many bits: bits, blocks, and so on. */
static void put_classes(FILE *out, const struct lives *lives)
{
    const char *comma = "";

    fputs("\"classes\":[", out);
    for (unsigned i = 0; i < LIVES_CLASSES; i++) {
        const struct lives_class *class = &lives->classes[i];
        const char *inner = "";

        if (!class->blocks)
            continue;
        fprintf(out, "%s[%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",[", comma, i, class->blocks, class->bytes,
                class->left_blocks, class->left_bytes);
        for (unsigned bits = 0; bits < 65; bits++) {
            if (!class->ages[bits])
                continue;
            fprintf(out, "%s%u,%" PRIu64, inner, bits, class->ages[bits]);
            inner = ",";
        }
        fputs("]]", out);
        comma = ",\n";
    }
    fputs("],\n", out);
}

static void put_threads(FILE *out, const struct recording *recording, const struct lives *lives)
{
    size_t pairs = lives->pair_count < PAIRS_MOST ? lives->pair_count : PAIRS_MOST;

    fputs("\"threads\":[", out);
    for (size_t i = 0; i < recording->count; i++) {
        const struct lives_thread *thread = &lives->threads[i];

        fprintf(out, "%s[%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]",
                i ? ",\n" : "", recording->threads[i].number, thread->events, thread->blocks, thread->bytes, thread->own,
                thread->others, thread->by_others, thread->begun, thread->ended);
    }
    fputs("],\n\"pairs\":[", out);
    for (size_t i = 0; i < pairs; i++)
        fprintf(out, "%s[%zu,%zu,%" PRIu64 ",%" PRIu64 "]", i ? "," : "", lives->pairs[i].by, lives->pairs[i].owner,
                lives->pairs[i].blocks, lives->pairs[i].bytes);
    fputs("],\n", out);
}

static void put_course(FILE *out, const struct course *course)
{
    fprintf(out, "\"width\":%" PRIu64 ",\"course\":[", course->width);
    for (size_t i = 0; i < course->count; i++)
        fprintf(out, "%s[%" PRIu64 ",%" PRIu64 "]", i ? "," : "", course->parts[i].most_bytes, course->parts[i].most_blocks);
    fputs("]}", out);
}

void show_html(FILE *out, const struct recording *recording, const struct lives *lives)
{
    const char *behind = html_page_begin(out, SHOW_PAGE);

    put_head(out, recording, lives);
    put_calls(out, lives);
    put_classes(out, lives);
    put_threads(out, recording, lives);
    put_course(out, &lives->course);
    fputs(behind, out);
}
