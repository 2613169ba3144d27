/* SPDX-License-Identifier: MIT */
#include "why_advice.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/modes.h"

#include "memory.h"

/* A part is worth a word from this part of the whole on, and from so many bytes. */
enum { WORTH_PART = 20, WORTH_BYTES = 1 << 20 };

/* ---- sums -------------------------------------------------------------------------------------------------------- */

uint64_t why_back(const struct heap_parts *parts, size_t n, bool *is_most)
{
    struct part_row row;

    *is_most = false;
    if (!heap_parts_row(parts, n, &row))
        return 0;
    if (!strcmp(row.name, "lists") || !strcmp(row.name, "transit"))
        *is_most = true;
    else if (strcmp(row.name, "holes") && strcmp(row.name, "free") && strcmp(row.name, "huge_excess"))
        return 0;
    return row.bytes;
}

uint64_t why_waste(const struct class_parts *class)
{
    uint64_t used = class->live - (class->rounding < class->live ? class->rounding : class->live);

    return class->used - used + class->beside + class->holes;
}

const char *why_function(const struct sample *sample)
{
    const struct place *place = sample->depth ? sample->places[0] : NULL;

    return place && place->line_count ? place->lines[0].function->name : "[unknown]";
}

/* ---- sentences --------------------------------------------------------------------------------------------------- */

static bool is_worth(const struct why *why, uint64_t bytes)
{
    return bytes >= WORTH_BYTES && bytes >= why->parts->beyond.resident / WORTH_PART;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* Free pages, which the allocator may give back at any time. */
static void say_free(FILE *out, const struct why *why)
{
    uint64_t least = why->parts->trim_least;

    if (!is_worth(why, least))
        return;
    if (why->view->target.core)
        fprintf(out, "malloc_trim(0) would have given at least %.1f MiB back. ", mib(least));
    else if (why->view->is_sealed)
        fprintf(out, "malloc_trim(0) gives at least %.1f MiB back; 'myalloc ctl' may not have it called, by control:off. ",
                mib(least));
    else
        fprintf(out, "'myalloc ctl %d trim' gives at least %.1f MiB back now. ", why->view->target.number, mib(least));
    fprintf(out, "It is kept because the program may want it again soon: decay_ms below 1000 gives it back earlier, "
            "background:on also while the program makes no calls. ");
}

static void say_lists(FILE *out, const struct why *why)
{
    const struct heap_parts *parts = why->parts;

    if (is_worth(why, parts->lists))
        fprintf(out, "%.1f MiB are free blocks on lists of %zu threads, which nobody else can take: cache_limit bounds a "
                "thread's lists. ", mib(parts->lists), why->view->thread_count);
    if (is_worth(why, parts->transit))
        fprintf(out, "%.1f MiB are on their way between threads, and go back when they have not been used for a second. ",
                mib(parts->transit));
}

static void say_beside(FILE *out, const struct why *why)
{
    const struct heap_parts *parts = why->parts;
    const struct heap_sites *sites = why->sites;

    if (!is_worth(why, parts->beside))
        return;
    fprintf(out, "%.1f MiB are free on pages that hold a block in use, and stay until that is freed. ", mib(parts->beside));
    if (sites->count && sites->list[0].pinned)
        fprintf(out, "Most of these pages, by estimate %.1f MiB, are kept by blocks of %" PRId64 " bytes that %s allocates in "
                "%s. ", mib(sites->list[0].pinned), sites->list[0].sample->class_bytes, sites->list[0].sample->call,
                why_function(sites->list[0].sample));
    else if (!sites->samples && (why->view->is_sealed || why->view->target.core))
        fprintf(out, "Which call sites hold them is known while there is a profile, as by profile:1. ");
    else if (!sites->samples)
        fprintf(out, "Which call sites hold them is known while there is a profile: 'myalloc ctl %d profile on', or profile:1 "
                "from the start. ", why->view->target.number);
}

/* What of its data has a record for each block; else they grow with the heap alone. */
static const char *metadata_reason(unsigned modes)
{
    if (modes & MODE_LEAKS)
        return ": leaks keeps a record of each block";
    if (modes & MODE_HARDENED)
        return ": protect:paranoid keeps a record of each block";
    if (modes & MODE_CHECK)
        return ": check keeps a record of each block";
    if (modes & MODE_RECORD)
        return ": a recording keeps its events there while it is made";
    if (modes & MODE_PROFILE)
        return ": a profile keeps a record of each block that it samples";
    return ", which grow with the number of blocks and the address space of the heap";
}

static void say_pages(FILE *out, const struct why *why)
{
    const struct heap_parts *parts = why->parts;

    if (is_worth(why, parts->huge_excess))
        fprintf(out, "%.1f MiB are free in huge pages that are used in part: hugepages:off takes small ones. ",
                mib(parts->huge_excess));
    if (is_worth(why, parts->ahead))
        fprintf(out, "%.1f MiB were made present ahead of use: populate:off and hugepages:off make less. ", mib(parts->ahead));
    if (is_worth(why, parts->around))
        fprintf(out, "%.1f MiB are pages around protected blocks, and quarantine: protect:off is without, and sample_memory "
                "bounds what protect:sample takes. ", mib(parts->around));
    if (is_worth(why, parts->metadata))
        fprintf(out, "%.1f MiB are the allocator's own data%s. ", mib(parts->metadata), metadata_reason(why->view->modes));
    if (is_worth(why, parts->rounding) && parts->rounding_known)
        fprintf(out, "%.1f MiB are rounding of sizes: the classes above show which. ", mib(parts->rounding));
}

/* What the allocator can do nothing about. */
static void say_rest(FILE *out, const struct why *why)
{
    const struct heap_parts *parts = why->parts;
    uint64_t resident = parts->beyond.resident;

    if (parts->live > resident / 2)
        fprintf(out, "%.0f %% of all is in blocks in use: %s by which functions. ",
                100 * (double)parts->live / (double)resident, why->sites->samples ?
                "the profile, by 'myalloc report', tells" : "a heap profile ('myalloc help profile') tells");
    else if (parts->others > resident / 2 && parts->beyond.count)
        fprintf(out, "%.0f %% of all is not the allocator's; most of it: %s. ", 100 * (double)parts->others / (double)resident,
                parts->beyond.list[0].name);
}

char *why_advice(const struct why *why)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        memory_fail();
    say_free(out, why);
    say_lists(out, why);
    say_beside(out, why);
    say_pages(out, why);
    say_rest(out, why);
    if (ftell(out) == 0)
        fputs("Nothing stands out: no part that can be brought down is a twentieth of all. ", out);
    if (fclose(out))
        memory_fail();
    text[strlen(text) - 1] = '\0';
    return text;
}
