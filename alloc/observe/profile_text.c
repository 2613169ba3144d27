/* SPDX-License-Identifier: MIT */
#include "observe/profile_text.h"

#include <errno.h>
#include <string.h>

#include "base/sizeclass.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/path.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"
#include "heap/cache_counted.h"
#include "callers/stacks.h"
#include "observe/profile.h"

#define MAPS_FIRST (256 * KIB) /* for /proc/self/maps, and four times as much until it fits */
#define MAPS_MOST (64 * MIB)

/* ---- sites ------------------------------------------------------------------------------------------------------- */

static size_t count_of(const struct profile_sum *sum) {
    return (sum->weight + COUNTED_ONE / 2) / COUNTED_ONE;
}

static void add_sums(struct text *text, const struct profile_sum *live, const struct profile_sum *all) {
    text_add(text, "%z: %z [%z: %z] @", count_of(live), live->bytes, count_of(all), all->bytes);
}

static void add_site(struct text *text, const struct profile_site *site) {
    unsigned frames;
    void *const *stack = stacks_frames(site->stack, &frames);
    add_sums(text, &site->live, &site->all);
    for (unsigned i = 0; i < frames; i++)
        text_add(text, " %p", stack[i]);
    text_add(text, "\n# %s class %z samples %z peak %z: %z\n", site->call, class_bytes((unsigned)(site->key >> 32 & 0xff)),
             site->samples, count_of(&site->peak), site->peak.bytes);
}

static void add_sites(struct text *text, const struct profile_site *sites, const struct profile_totals *totals) {
    text_add(text, "heap profile: ");
    add_sums(text, &totals->live, &totals->all);
    text_add(text, " heapprofile\n# myalloc profile 1 interval %z samples %z live %z refused %z peak %z: %z\n",
             profile_interval(), totals->samples, totals->live_samples, totals->refused,
             count_of(&totals->peak), totals->peak.bytes);
    for (size_t i = 0; sites != NULL && i < totals->sites; i++)
        add_site(text, &sites[i]);
    text_add(text, "\nMAPPED_LIBRARIES:\n");
}

/* ---- code -------------------------------------------------------------------------------------------------------- */

/* What can be executed of the maps in `text`, moved to its start. Returns its length. */
static size_t keep_code(char *text, size_t length) {
    size_t kept = 0;
    for (size_t at = 0, end; at < length; at = end) {
        const char *newline = memchr(text + at, '\n', length - at);
        end = newline != NULL ? (size_t)(newline - text) + 1 : length;
        const char *rights = memchr(text + at, ' ', end - at);
        if (rights == NULL || text + end - rights < 5 || rights[3] != 'x')
            continue;
        memmove(text + kept, text + at, end - at);
        kept += end - at;
    }
    return kept;
}

/* Makes room for `length` bytes of text and the maps, and reads these there. *room is set; NULL if memory is refused. */
static char *make_room(size_t length, size_t *room, size_t *maps) {
    for (size_t more = MAPS_FIRST; more <= MAPS_MOST; more *= 4) {
        *room = align_up(length + more, OS_PAGE);
        char *out = budget_map(*room);
        if (out == NULL)
            return NULL;
        *maps = os_read_file("/proc/self/maps", out + length, *room - length);
        if (length + *maps < *room)
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
    report_line("profile: the file %s cannot be written: %s", out(), path_error(error));
}

void profile_tell(void) {
    int error = profile_write(out());
    if (error != 0)
        profile_tell_failed(error);
}
