/* SPDX-License-Identifier: MIT */
#include "core_areas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "os/os.h"

enum { PIECE = 64 * OS_PAGE };

static bool is_zero(const char *page)
{
    return !*page && !memcmp(page, page + 1, OS_PAGE - 1);
}

/* Looks at what was read of an area, from `at` on. Returns how much of it holds something. */
static uint64_t see_piece(struct runs *pages, uint64_t at, const char *piece, size_t bytes)
{
    uint64_t found = 0;

    for (size_t i = 0; i < bytes; i += OS_PAGE) {
        if (is_zero(piece + i))
            continue;
        runs_put(pages, at + i, at + i + OS_PAGE, false);
        found += OS_PAGE;
    }
    return found;
}

/* Where the file goes on behind a hole, as a distance in the area; its end, if the rest is one. */
static uint64_t skip_hole(const struct core_file *core, const struct core_segment *segment, uint64_t at)
{
    off_t data = lseek(core->fd, (off_t)(segment->offset + at), SEEK_DATA);
    uint64_t next;

    if (data < 0)
        return errno == ENXIO ? segment->held : at; /* another error: the file system does not tell */
    next = (uint64_t)data - segment->offset;
    return next > segment->held ? segment->held : next - next % OS_PAGE;
}

static int see_segment(const struct core_file *core, const struct core_segment *segment, struct runs *pages, uint64_t *found)
{
    static char piece[PIECE];

    *found = 0;
    for (uint64_t at = skip_hole(core, segment, 0); at < segment->held; at = skip_hole(core, segment, at + PIECE)) {
        size_t bytes = segment->held - at < PIECE ? segment->held - at : PIECE;
        ssize_t got = pread(core->fd, piece, bytes, (off_t)(segment->offset + at));

        if (got != (ssize_t)bytes)
            return got < 0 ? errno : EIO;
        memset(piece + bytes, 0, align_up(bytes, OS_PAGE) - bytes);
        *found += see_piece(pages, segment->start + at, piece, bytes);
        if (at + PIECE >= segment->held)
            break;
    }
    return 0;
}

static const char *name_of(const struct core_file *core, const struct core_segment *segment, const struct core_map *map)
{
    if (map)
        return core->sources[map->source].path;
    if (core->arguments >= segment->start && core->arguments < segment->end)
        return "[stack]";
    return core->vdso == segment->start ? "[vdso]" : "";
}

int core_areas_read(const struct core_file *core, struct areas *areas, struct runs *pages)
{
    *areas = (struct areas){0};
    for (size_t i = 0; i < core->segment_count; i++) {
        const struct core_segment *segment = &core->segments[i];
        const struct core_map *map = core_file_map(core, segment->start);
        const char *name = name_of(core, segment, map);
        struct area area = {.start = segment->start, .end = segment->end, .is_file = map, .is_private = segment->is_writable};
        int error = see_segment(core, segment, pages, &area.resident);

        if (error)
            return error;
        area.name = memory_copy(name, strlen(name));
        areas->list = memory_room(areas->list, areas->count, &areas->room, sizeof area);
        areas->list[areas->count++] = area;
    }
    return 0;
}
