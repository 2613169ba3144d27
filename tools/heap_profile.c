/* SPDX-License-Identifier: MIT */
#include "heap_profile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "ranges.h"

enum { FORM = 2, LINE_MOST = 1 << 16 };

struct reader {
    FILE *file;
    struct heap_profile *profile;
    char line[LINE_MOST]; /* without its newline */
    size_t number;        /* of the line, from 1 */
    bool at_end, is_whole;
};

static char problem[512];

static const char *say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, sizeof problem, format, arguments);
    va_end(arguments);
    return problem;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* The next line; at the end of the file none. A line that is too long, or has no newline, is not whole. */
static bool next_line(struct reader *reader)
{
    size_t length;

    if (!fgets(reader->line, sizeof reader->line, reader->file)) {
        reader->at_end = true;
        reader->line[0] = '\0';
        return false;
    }
    reader->number++;
    length = strlen(reader->line);
    reader->is_whole = length && reader->line[length - 1] == '\n';
    if (reader->is_whole)
        reader->line[length - 1] = '\0';
    return true;
}

/* What is wrong with the line that was read last. */
static const char *bad_line(const struct reader *reader)
{
    if (ferror(reader->file))
        return say("cannot be read: %s", strerror(errno));
    if (reader->at_end || (!reader->is_whole && feof(reader->file)))
        return say("is cut off after line %zu; copy it anew, or have the program write it again", reader->number);
    return say("line %zu is not as the library writes it; copy the file anew, or have the program write it again",
               reader->number);
}

/* Steps over `text`. False if something else stands there. */
static bool take(const char **at, const char *text)
{
    size_t length = strlen(text);

    if (strncmp(*at, text, length))
        return false;
    *at += length;
    return true;
}

static bool take_number(const char **at, int64_t *value)
{
    if (**at < '0' || **at > '9')
        return false;
    for (*value = 0; **at >= '0' && **at <= '9'; ++*at) {
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, **at - '0', value))
            return false;
    }
    return true;
}

static bool take_address(const char **at, uint64_t *value)
{
    char *end;

    if (!strchr("0123456789abcdef", **at) || !**at)
        return false;
    errno = 0;
    *value = strtoull(*at, &end, 16);
    *at = end;
    return errno == 0;
}

/* "12: 3400" */
static bool take_amount(const char **at, struct heap_amount *amount)
{
    return take_number(at, &amount->objects) && take(at, ": ") && take_number(at, &amount->bytes);
}

/* "12: 3400 [90: 22000] @" */
static bool take_amounts(const char **at, struct heap_amounts *amounts)
{
    return take_amount(at, &amounts->of[HEAP_LIVE]) && take(at, " [") && take_amount(at, &amounts->of[HEAP_ALL]) &&
           take(at, "] @");
}

/* " samples 40", or another word of one number. */
static bool take_named(const char **at, const char *name, int64_t *value)
{
    return take(at, name) && take_number(at, value);
}

/* ---- head -------------------------------------------------------------------------------------------------------- */

static const char *read_head(struct reader *reader)
{
    struct heap_profile *profile = reader->profile;
    const char *at = reader->line;
    int64_t form, ignored;

    if (!next_line(reader))
        return ferror(reader->file) ? bad_line(reader) :
            say("is empty; the library writes a profile when the program ends by exit, or at myalloc_profile_write");
    if (!take(&at, "heap profile: "))
        return say("is no heap profile; 'myalloc profile PROGRAM' writes one");
    if (!take_amounts(&at, &profile->totals) || strcmp(at, " heapprofile") || !next_line(reader))
        return bad_line(reader);
    at = reader->line;
    if (!take(&at, "# myalloc profile "))
        return reader->is_whole ? say("is another allocator's heap profile; pprof reads it") : bad_line(reader);
    if (!take_number(&at, &form))
        return bad_line(reader);
    if (form < 1 || form > FORM)
        return say("has form %" PRId64 ", this command reads 1 to %d; use the one of the library that wrote it", form, FORM);
    if (!take_named(&at, " interval ", &profile->interval) || !take_named(&at, " samples ", &ignored) ||
        !take_named(&at, " live ", &ignored) || !take_named(&at, " refused ", &ignored) || !take(&at, " peak ") ||
        !take_amount(&at, &profile->totals.of[HEAP_PEAK]) || *at || !reader->is_whole)
        return bad_line(reader);
    return NULL;
}

/* ---- sites ------------------------------------------------------------------------------------------------------- */

static bool read_addresses(struct heap_profile *profile, struct heap_site *site, const char *at)
{
    site->first = profile->address_count;
    while (*at) {
        uint64_t address;

        if (!take(&at, " 0x") || !take_address(&at, &address))
            return false;
        profile->addresses = memory_room(profile->addresses, profile->address_count, &profile->address_room, sizeof address);
        profile->addresses[profile->address_count++] = address;
    }
    site->depth = profile->address_count - site->first;
    return true;
}

/* " lived 70 8 0 0 0 0 tag web", or a part of it, or nothing. */
static bool read_life(struct heap_site *site, const char *at)
{
    memset(site->lived, 0, sizeof site->lived);
    *site->tag = '\0';
    if (take(&at, " lived")) {
        for (int i = 0; i < HEAP_LIVES; i++) {
            if (!take_named(&at, " ", &site->lived[i]))
                return false;
        }
    }
    if (take(&at, " tag ")) {
        if (!*at || strlen(at) >= sizeof site->tag)
            return false;
        memcpy(site->tag, at, strlen(at) + 1);
        at += strlen(at);
    }
    return !*at;
}

/* The file tells of a site how many samples it has in all: of what is live, and was at the peak, they are counted in proportion
   to the objects, as each stands for about as many in a size class. */
static void share_samples(struct heap_amounts *amounts, int64_t samples)
{
    const struct heap_amount *all = &amounts->of[HEAP_ALL];

    for (int kind = 0; kind < HEAP_KINDS; kind++) {
        struct heap_amount *amount = &amounts->of[kind];
        double part = all->objects ? (double)amount->objects / (double)all->objects : 0;

        amount->samples = amount->bytes == all->bytes ? samples : (int64_t)((double)samples * (part < 1 ? part : 1) + 0.5);
        amount->samples += !amount->samples && amount->bytes;
    }
}

/* "# malloc class 48 samples 40 peak 14: 3900", of the site above, and what read_life reads. */
static bool read_call(struct heap_site *site, const char *at)
{
    const char *end = strstr(at, " class ");
    int64_t samples;

    if (!take(&at, "# ") || !end || end <= at || (size_t)(end - at) >= sizeof site->call)
        return false;
    snprintf(site->call, sizeof site->call, "%.*s", (int)(end - at), at);
    at = end;
    if (!take_named(&at, " class ", &site->class_bytes) || !take_named(&at, " samples ", &samples) || !take(&at, " peak ") ||
        !take_amount(&at, &site->amounts.of[HEAP_PEAK]) || !read_life(site, at))
        return false;
    share_samples(&site->amounts, samples);
    return true;
}

static const char *read_sites(struct reader *reader)
{
    struct heap_profile *profile = reader->profile;

    while (next_line(reader) && *reader->line) {
        struct heap_site *site;
        const char *at = reader->line;

        profile->sites = memory_room(profile->sites, profile->site_count, &profile->site_room, sizeof *site);
        site = &profile->sites[profile->site_count];
        if (!take_amounts(&at, &site->amounts) || !read_addresses(profile, site, at) || !reader->is_whole ||
            !next_line(reader) || !read_call(site, reader->line) || !reader->is_whole)
            return bad_line(reader);
        profile->site_count++;
    }
    if (reader->at_end || !next_line(reader) || strcmp(reader->line, "MAPPED_LIBRARIES:") || !reader->is_whole)
        return bad_line(reader);
    return NULL;
}

/* ---- code -------------------------------------------------------------------------------------------------------- */

/* A line of /proc/PID/maps: "557141c08000-557141c09000 r-xp 00001000 fe:00 10970305    /usr/bin/program" */
static bool read_map(struct heap_map *map, const char *at)
{
    static const char deleted[] = " (deleted)";
    size_t length;
    int64_t inode;

    if (!take_address(&at, &map->start) || !take(&at, "-") || !take_address(&at, &map->end) || !take(&at, " ") ||
        strcspn(at, " ") != 4)
        return false;
    at += 5;
    if (!take_address(&at, &map->offset) || !take(&at, " "))
        return false;
    at += strcspn(at, " "); /* the device */
    if (!take(&at, " ") || !take_number(&at, &inode))
        return false;
    map->inode = (uint64_t)inode;
    map->build_id = NULL;
    at += strspn(at, " ");
    length = strlen(at);
    map->is_deleted = length > sizeof deleted - 1 && !strcmp(at + length - (sizeof deleted - 1), deleted);
    map->path = memory_copy(at, map->is_deleted ? length - (sizeof deleted - 1) : length);
    return true;
}

/* "# build-id 0x557141c08000 5f3a...", of a map that was read before. */
static bool read_build_id(struct heap_profile *profile, const char *at)
{
    uint64_t start;

    if (!take(&at, "# build-id 0x") || !take_address(&at, &start) || !take(&at, " ") || !*at ||
        at[strspn(at, "0123456789abcdef")])
        return false;
    for (size_t i = 0; i < profile->map_count; i++) {
        struct heap_map *map = &profile->maps[i];

        if (map->start == start && !map->build_id) {
            map->build_id = memory_copy(at, strlen(at));
            return true;
        }
    }
    return false;
}

bool heap_profile_add_map(struct heap_profile *profile, const char *line)
{
    profile->maps = memory_room(profile->maps, profile->map_count, &profile->map_room, sizeof *profile->maps);
    if (!read_map(&profile->maps[profile->map_count], line))
        return false;
    profile->map_count++;
    return true;
}

static const char *read_maps(struct reader *reader)
{
    struct heap_profile *profile = reader->profile;

    while (next_line(reader)) {
        if (*reader->line == '#') {
            if (!reader->is_whole || !read_build_id(profile, reader->line))
                return bad_line(reader);
            continue;
        }
        if (!reader->is_whole || !heap_profile_add_map(profile, reader->line))
            return bad_line(reader);
    }
    if (ferror(reader->file))
        return bad_line(reader);
    qsort(profile->maps, profile->map_count, sizeof *profile->maps, ranges_order);
    return NULL;
}

const struct heap_map *heap_profile_map(const struct heap_profile *profile, uint64_t address)
{
    size_t low = 0, high = profile->map_count;

    while (low < high) { /* the first that starts behind it */
        size_t middle = low + (high - low) / 2;

        if (profile->maps[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && address < profile->maps[low - 1].end ? &profile->maps[low - 1] : NULL;
}

/* The kernel puts the program below what it needs; code that has no file of its own may lie anywhere. */
const struct heap_map *heap_profile_program(const struct heap_profile *profile)
{
    for (size_t i = 0; i < profile->map_count; i++) {
        if (profile->maps[i].path[0] == '/')
            return &profile->maps[i];
    }
    return NULL;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

bool heap_amounts_add(struct heap_amounts *sum, const struct heap_amounts *more)
{
    bool overflow = false;

    for (int kind = 0; kind < HEAP_KINDS; kind++) {
        struct heap_amount *to = &sum->of[kind];

        overflow |= __builtin_add_overflow(to->objects, more->of[kind].objects, &to->objects);
        overflow |= __builtin_add_overflow(to->bytes, more->of[kind].bytes, &to->bytes);
        overflow |= __builtin_add_overflow(to->samples, more->of[kind].samples, &to->samples);
    }
    return !overflow;
}

/* Objects are rounded for each site, bytes are not. */
static const char *check_totals(const struct heap_profile *profile)
{
    struct heap_amounts sum = {0};

    for (size_t i = 0; i < profile->site_count; i++) {
        if (!heap_amounts_add(&sum, &profile->sites[i].amounts))
            return say("has numbers that are too large to be added; copy it anew, or have the program write it again");
    }
    for (int kind = 0; kind < HEAP_KINDS; kind++) {
        if (sum.of[kind].bytes != profile->totals.of[kind].bytes)
            return say("has %" PRId64 " bytes in its lines but %" PRId64 " in its first ones; copy it anew, or have the "
                       "program write it again", sum.of[kind].bytes, profile->totals.of[kind].bytes);
    }
    return NULL;
}

/* Opened so that a pipe that nobody writes to is empty, and does not wait for ever. */
static const char *open_file(const char *path, FILE **file, time_t *written)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return say("cannot be read: %s%s", strerror(errno),
                   errno == ENOENT ? "; 'myalloc profile PROGRAM' writes NAME.PID.heap" : "");
    if (fstat(fd, &status) || S_ISDIR(status.st_mode)) {
        close(fd);
        return say("is a directory; name the profiles in it");
    }
    *written = S_ISREG(status.st_mode) ? status.st_mtime : 0;
    fcntl(fd, F_SETFL, 0);
    *file = fdopen(fd, "r");
    return *file ? NULL : say("cannot be read: %s", strerror(errno));
}

const char *heap_profile_read(const char *path, struct heap_profile *profile)
{
    static struct reader reader;
    const char *wrong;

    reader = (struct reader){.profile = profile};
    memset(profile, 0, sizeof *profile);
    wrong = open_file(path, &reader.file, &profile->written);
    if (wrong)
        return wrong;
    wrong = read_head(&reader);
    wrong = wrong ? wrong : read_sites(&reader);
    wrong = wrong ? wrong : read_maps(&reader);
    wrong = wrong ? wrong : check_totals(profile);
    fclose(reader.file);
    if (wrong)
        heap_profile_free(profile);
    return wrong;
}

void heap_profile_free(struct heap_profile *profile)
{
    for (size_t i = 0; i < profile->map_count; i++) {
        free(profile->maps[i].path);
        free(profile->maps[i].build_id);
    }
    free(profile->maps);
    free(profile->addresses);
    free(profile->sites);
}
