/* SPDX-License-Identifier: MIT */
/* What resident.h counts, for programs and for people. */
#include <stddef.h>
#include <string.h>

#include "os/os.h"
#include "observe/resident.h"

#define WORDS_WIDTH 47 /* of the longest row of resident.def, and a blank or two */
#define ADVICE_WIDTH 60

static const struct part {
    char name[16], words[WORDS_WIDTH], advice[ADVICE_WIDTH]; /* no pointers, which would be relocated at each start */
    size_t offset;                                           /* in struct resident */
} parts[] = {
#define PART(name, words, advice) {#name, words, advice, offsetof(struct resident, name)},
#include "observe/resident.def"
#undef PART
};
#define PARTS (sizeof parts / sizeof *parts)

static size_t bytes_of(const struct part *part, const struct resident *resident) {
    size_t bytes;
    memcpy(&bytes, (const char *)resident + part->offset, sizeof bytes);
    return bytes;
}

const char *resident_part(const struct resident *resident, size_t n, size_t *bytes) {
    if (n >= PARTS)
        return NULL;
    *bytes = bytes_of(&parts[n], resident);
    return parts[n].name;
}

/* ---- JSON --------------------------------------------------------------------------------------------------------- */

/* Whether a part is a number: rounding is none where it is in live, others none where the kernel does not tell Rss. */
static bool is_known(const struct part *part, const struct resident *resident) {
    return part->offset == offsetof(struct resident, rounding) ? resident->rounding_known
         : part->offset == offsetof(struct resident, others)   ? resident->rss != SIZE_MAX
                                                               : true;
}

static void add_number(struct text *text, const char *key, size_t number, bool known) {
    text_add(text, ", \"%s\": ", key);
    text_add(text, known ? "%z" : "null", number);
}

static const char *source(const struct resident *resident) {
    return resident->total == 0 ? "nothing" : resident->by_pagemap ? "pagemap" : "mincore";
}

void resident_add_json(struct text *text, const struct resident *resident) {
    text_add(text, "\"resident\": {\"told_by\": \"%s\"", source(resident));
    add_number(text, "total", resident->total, true);
    for (size_t i = 0; i < PARTS; i++)
        add_number(text, parts[i].name, bytes_of(&parts[i], resident), is_known(&parts[i], resident));
    add_number(text, "returned", resident->returned, true);
    add_number(text, "trim", resident->trim, !resident->refused);
    text_add(text, ", \"trim_is_least\": %s", resident->trim_is_least ? "true" : "false");
    text_add(text, ", \"all_told\": %s", resident->refused ? "false" : "true");
    add_number(text, "huge_pages", resident->huge, resident->by_pagemap);
    text_add(text, "},\n\"process\": {\"rss\": ");
    text_add(text, resident->rss != SIZE_MAX ? "%z" : "null", resident->rss);
    add_number(text, "pss", resident->pss, resident->pss != SIZE_MAX);
    add_number(text, "anonymous", resident->anonymous, resident->anonymous != SIZE_MAX);
    add_number(text, "swap", resident->swap, resident->swap != SIZE_MAX);
    text_add(text, "},\n");
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

/* Hundredths or tenths as a decimal number, right-aligned in `width` characters. */
static void add_decimal(struct text *text, size_t number, unsigned places, size_t width) {
    char digits[32];
    size_t scale = places == 2 ? 100 : 10, rest = number % scale;
    bool zero = places == 2 && rest < 10;
    size_t length = text_format(digits, sizeof digits, "%z.%s%z", number / scale, zero ? "0" : "", rest);
    for (size_t i = length; i < width; i++)
        text_add(text, " ");
    text_add(text, "%s", digits);
}

static void add_mib(struct text *text, size_t bytes) {
    add_decimal(text, (bytes * 100 + MIB / 2) / MIB, 2, 10);
}

static void add_line(struct text *text, size_t bytes, size_t all, const char *words, const char *advice) {
    add_mib(text, bytes);
    add_decimal(text, all > 0 ? (bytes / 64 * 1000 + all / 128) / (all / 64 + (all < 64)) : 0, 1, 7);
    text_add(text, "  %s", words);
    for (size_t i = strlen(words); advice[0] != '\0' && i < WORDS_WIDTH; i++)
        text_add(text, " ");
    text_add(text, "%s\n", advice);
}

static void add_sum_line(struct text *text, size_t bytes, const char *words) {
    add_mib(text, bytes);
    text_add(text, "         %s\n", words);
}

static void add_notes(struct text *text, const struct resident *resident) {
    add_sum_line(text, resident->returned, "taken by the allocator, without memory: given back, or never touched");
    add_sum_line(text, resident->trim, resident->refused        ? "or more is what malloc_trim(0) would give back now"
                                       : resident->trim_is_least ? "at least is what malloc_trim(0) would give back now"
                                                                 : "is what malloc_trim(0) would give back now");
    if (resident->huge > 0)
        add_sum_line(text, resident->huge, "of the heap lie in huge pages");
    if (resident->swap != SIZE_MAX && resident->swap > 0)
        add_sum_line(text, resident->swap, "of the process are swapped out, and counted nowhere here");
    if (!resident->rounding_known)
        text_add(text, "Blocks in use are counted with the rounding of their sizes; leaks:1 and check:1 tell it apart.\n");
    if (!resident->by_pagemap)
        text_add(text, "The kernel tells neither huge pages nor which pages were only read: before Linux 6.7, or no /proc.\n");
    if (resident->refused)
        text_add(text, "The kernel did not tell all pages: what it did not counts as without memory.\n");
    if (resident->rss == SIZE_MAX)
        text_add(text, "/proc/self/smaps_rollup cannot be read: what is not the allocator's is not known.\n");
}

void resident_add_table(struct text *text, const struct resident *resident) {
    size_t all = resident->total + resident->others;
    if (all == 0)
        return;
    text_add(text, "myalloc: where the resident memory of process %d is\n", os_process_id());
    text_add(text, "       MiB      %%  what it is");
    for (size_t i = strlen("what it is"); i < WORDS_WIDTH; i++)
        text_add(text, " ");
    text_add(text, "what brings it down\n");
    for (size_t i = 0; i < PARTS; i++)
        if (bytes_of(&parts[i], resident) > 0)
            add_line(text, bytes_of(&parts[i], resident), all, parts[i].words, parts[i].advice);
    add_line(text, all, all, resident->rss == SIZE_MAX ? "the allocator's, in all" : "resident in all (Rss)", "");
    add_notes(text, resident);
}
