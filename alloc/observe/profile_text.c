/* SPDX-License-Identifier: MIT */
#include "observe/profile_text.h"

#include <errno.h>
#include <string.h>

#include "base/scan.h"
#include "base/sizeclass.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/path.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"
#include "heap/cache_counted.h"
#include "callers/build_id.h"
#include "callers/stacks.h"
#include "observe/profile.h"
#include "observe/tags.h"

#define MAPS_FIRST (256 * KIB) /* for /proc/self/maps, and four times as much until it fits */
#define MAPS_MOST (64 * MIB)

/* ---- sites ------------------------------------------------------------------------------------------------------- */

static size_t count_of(const struct profile_sum *sum) {
    return (sum->weight + COUNTED_ONE / 2) / COUNTED_ONE;
}

static void add_sums(struct text *text, const struct profile_sum *live, const struct profile_sum *all) {
    text_add(text, "%z: %z [%z: %z] @", count_of(live), live->bytes, count_of(all), all->bytes);
}

/* How long what is free has lived, and the tag, where there is any. */
static void add_life(struct text *text, const struct profile_site *site) {
    uint64_t freed = 0;
    for (unsigned i = 0; i < PROFILE_LIVES; i++)
        freed += site->lived[i];
    if (freed != 0)
        text_add(text, " lived");
    for (unsigned i = 0; freed != 0 && i < PROFILE_LIVES; i++)
        text_add(text, " %z", (site->lived[i] + COUNTED_ONE / 2) / COUNTED_ONE);
    if (profile_site_tag(site) != 0)
        text_add(text, " tag %s", tags_word(profile_site_tag(site)));
}

static void add_site(struct text *text, const struct profile_site *site) {
    unsigned frames;
    void *const *stack = stacks_frames(site->stack, &frames);
    add_sums(text, &site->live, &site->all);
    for (unsigned i = 0; i < frames; i++)
        text_add(text, " %p", stack[i]);
    size_t class = class_bytes(profile_key_class(site->key));
    text_add(text, "\n# %s class %z samples %z peak %z: %z", site->call, class, site->samples, count_of(&site->peak),
             site->peak.bytes);
    add_life(text, site);
    text_add(text, "\n");
}

static void add_sites(struct text *text, const struct profile_site *sites, const struct profile_totals *totals) {
    text_add(text, "heap profile: ");
    add_sums(text, &totals->live, &totals->all);
    text_add(text, " heapprofile\n# myalloc profile 2 interval %z samples %z live %z refused %z peak %z: %z\n",
             profile_interval(), totals->samples, totals->live_samples, totals->refused,
             count_of(&totals->peak), totals->peak.bytes);
    for (size_t i = 0; sites != NULL && i < totals->sites; i++)
        add_site(text, &sites[i]);
    text_add(text, "\nMAPPED_LIBRARIES:\n");
}

/* ---- code -------------------------------------------------------------------------------------------------------- */

/* What a line of the maps says, as far as it matters here. */
struct map {
    uintptr_t start;
    bool code, first; /* it can be executed; it begins with the start of its file */
    char file[40];    /* device and inode */
};

/* "557141c08000-557141c09000 r-xp 00001000 fe:00 10970305    /usr/bin/program". False if it is none. */
static bool read_map(const char *line, const char *end, struct map *map) {
    size_t length = 0, offset;
    scan_number(line, (size_t)(end - line), 16, &map->start);
    const char *at = memchr(line, ' ', (size_t)(end - line));
    if (at == NULL || end - at < 7)
        return false;
    map->code = at[3] == 'x';
    at += sizeof " rwxp " - 1;
    at += scan_number(at, (size_t)(end - at), 16, &offset);
    map->first = offset == 0;
    for (unsigned words = 0; at < end && length + 1 < sizeof map->file; at++) {
        words += *at == ' ';
        if (words > 2 || *at == '\n')
            break;
        map->file[length++] = *at;
    }
    map->file[length] = '\0';
    return true;
}

/* Appends "# build-id START DIGITS" for a map with code whose module has its headers at `header`. */
static void add_build_id(struct text *ids, const struct map *map, uintptr_t header) {
    char digits[BUILD_ID_ROOM];
    build_id_find((const void *)header, os_read_memory, digits);
    if (digits[0] != '\0')
        text_add(ids, "# build-id %p %s\n", (const void *)map->start, digits);
}

/* Keeps of the maps in `text` what can be executed, moved to its start, and puts the build-ids behind it; the room is three
 * times what the maps take, which both have room in. Returns the length. */
static size_t keep_code(char *text, size_t length) {
    struct map headers = {.first = false}, map;
    struct text ids = {text + length, 2 * length, 0};
    size_t kept = 0;
    for (size_t at = 0, end; at < length; at = end) {
        const char *newline = memchr(text + at, '\n', length - at);
        end = newline != NULL ? (size_t)(newline - text) + 1 : length;
        if (!read_map(text + at, text + end, &map))
            continue;
        if (map.first)
            headers = map;
        if (!map.code)
            continue;
        if (headers.first && strcmp(headers.file, map.file) == 0 && !os_is_shut_in())
            add_build_id(&ids, &map, headers.start);
        memmove(text + kept, text + at, end - at);
        kept += end - at;
    }
    memmove(text + kept, ids.out, ids.length);
    return kept + ids.length;
}

/* Makes room for `length` bytes of text and the maps, and reads these there. *room is set; NULL if memory is refused. */
static char *make_room(size_t length, size_t *room, size_t *maps) {
    for (size_t more = MAPS_FIRST; more <= MAPS_MOST; more *= 4) {
        *room = align_up(length + more, OS_PAGE);
        char *out = budget_map(*room);
        if (out == NULL)
            return NULL;
        *maps = os_read_file("/proc/self/maps", out + length, *room - length);
        if (length + 3 * *maps < *room)
            return out;
        budget_unmap(out, *room);
    }
    return NULL;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static int write_sites(const char *path, const struct profile_site *sites, const struct profile_totals *totals) {
    struct text text = {NULL, 0, 0};
    size_t room, maps;
    add_sites(&text, sites, totals);
    char *out = make_room(text.length + 1, &room, &maps);
    if (out == NULL)
        return ENOMEM;
    size_t code = keep_code(out + text.length + 1, maps), length = text.length;
    text = (struct text){out, length + 1, 0};
    add_sites(&text, sites, totals);
    memmove(out + length, out + length + 1, code);
    int error = os_replace_file(path, out, length + code);
    budget_unmap(out, room);
    return error;
}

static int write_to(const char *path) {
    struct profile_totals totals;
    size_t room;
    struct profile_site *sites = profile_table_copy(&totals, &room);
    int error = sites == NULL && totals.sites > 0 ? ENOMEM : write_sites(path, sites, &totals);
    if (sites != NULL)
        budget_unmap(sites, room);
    return error;
}

int profile_write(const char *pattern) {
    char path[PATH_ROOM];
    return path_fill(pattern, path, sizeof path) ? write_to(path) : ENAMETOOLONG;
}

static const char *out(void) {
    return tunables.profile_out[0] != '\0' ? tunables.profile_out : "%b.%p.heap";
}

/* Where the program was started is known only if an option made it worth keeping; else it is where the program is now. */
int profile_dump(char *path, size_t room) {
    char filled[PATH_ROOM];
    if (!path_fill(out(), filled, sizeof filled))
        return ENAMETOOLONG;
    size_t at = filled[0] != '/' && os_folder(path, room) ? strlen(path) : 0;
    text_format(path + at, room - at, at != 0 ? "/%s" : "%s", filled);
    return write_to(filled);
}

/* Four digits, so that names are in the order of time. */
static bool add_number(char *path, size_t room, size_t number) {
    size_t at = strlen(path), length = text_format(path + at, room - at, number > 9999 ? ".%z" : ".%z%z%z%z",
                                                   number > 9999 ? number : number / 1000, number / 100 % 10,
                                                   number / 10 % 10, number % 10);
    return at + length + 1 < room;
}

int profile_write_snapshot(size_t number) {
    char path[PATH_ROOM];
    if (!path_fill(out(), path, sizeof path) || (number != 0 && !add_number(path, sizeof path, number)))
        return ENAMETOOLONG;
    return write_to(path);
}

void profile_tell_failed(int error) {
    char path[PATH_ROOM];
    report_line("profile: the file %s cannot be written: %s; profile_out:/tmp/%%b.%%p.heap, or 'myalloc profile --out', names "
                "another", path_fill(out(), path, sizeof path) ? path : out(), path_error(error));
}

void profile_tell(void) {
    int error = profile_write(out());
    if (error != 0)
        profile_tell_failed(error);
}
