/* SPDX-License-Identifier: MIT */
#include "areas.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "ranges.h"
#include "os/os.h"

/* ---- areas ------------------------------------------------------------------------------------------------------- */

/* "START-END rights offset device inode   name" */
static bool add_area(struct areas *areas, const char *line)
{
    struct area area = {0};
    uint64_t inode;
    char rights[8];
    int name = 0;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*x %*s %" SCNu64 " %n", &area.start, &area.end, rights, &inode,
               &name) != 4)
        return false;
    area.is_file = inode != 0;
    area.is_private = rights[1] == 'w' && strchr(rights, 'p');
    area.name = memory_copy(line + name, strcspn(line + name, "\n"));
    areas->list = memory_room(areas->list, areas->count, &areas->room, sizeof area);
    areas->list[areas->count++] = area;
    return true;
}

/* "Rss:   12 kB" and the like. */
static void add_amount(struct area *area, const char *line)
{
    static const struct {
        const char *name;
        size_t offset;
    } rows[] = {{"Rss:", offsetof(struct area, resident)}, {"Swap:", offsetof(struct area, swapped)},
                {"LazyFree:", offsetof(struct area, lazy)}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strncmp(line, rows[i].name, strlen(rows[i].name)))
            *(uint64_t *)(void *)((char *)area + rows[i].offset) = strtoull(line + strlen(rows[i].name), NULL, 10) * 1024;
    }
}

int areas_read(int number, struct areas *areas)
{
    char path[64], *line = NULL;
    size_t room = 0;
    FILE *file;
    int error;

    *areas = (struct areas){0};
    snprintf(path, sizeof path, "/proc/%d/smaps", number);
    file = fopen(path, "re");
    if (!file)
        return errno;
    errno = 0;
    while (getline(&line, &room, file) > 0) {
        if (!add_area(areas, line) && areas->count)
            add_amount(&areas->list[areas->count - 1], line);
    }
    error = ferror(file) ? errno : areas->count ? 0 : ESRCH; /* a process that has ended has none */
    free(line);
    fclose(file);
    return error;
}

void areas_free(struct areas *areas)
{
    for (size_t i = 0; i < areas->count; i++)
        free(areas->list[i].name);
    free(areas->list);
    *areas = (struct areas){0};
}

const struct area *areas_find(const struct areas *areas, uint64_t address)
{
    return ranges_find(areas->list, areas->count, sizeof *areas->list, address);
}

bool areas_cover(const struct areas *areas, uint64_t start, uint64_t end)
{
    const struct area *area = areas_find(areas, start), *behind = areas->list + areas->count;

    while (area && area < behind && area->start <= start && start < end)
        start = area++->end;
    return start >= end;
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

int runs_open(int number)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/pagemap", number);
    return open(path, O_RDONLY | O_CLOEXEC);
}

void runs_put(struct runs *runs, uint64_t start, uint64_t end, bool is_huge)
{
    struct run *last = runs->count ? &runs->list[runs->count - 1] : NULL;

    if (last && last->end == start && last->is_huge == is_huge) {
        last->end = end;
        return;
    }
    runs->list = memory_room(runs->list, runs->count, &runs->room, sizeof *runs->list);
    runs->list[runs->count++] = (struct run){start, end, is_huge};
}

/* By the entries of single pages, for kernels that know no better (before Linux 6.7). */
static int add_by_entries(struct runs *runs, int fd, uint64_t start, uint64_t end)
{
    uint64_t entries[512], page = start / OS_PAGE, last = (end + OS_PAGE - 1) / OS_PAGE;

    while (page < last) {
        size_t most = min_size(last - page, sizeof entries / sizeof *entries);
        ssize_t got = pread(fd, entries, most * sizeof *entries, (off_t)(page * sizeof *entries));

        if (got <= 0)
            return got < 0 ? errno : 0; /* 0: behind the last address */
        for (size_t i = 0; i < (size_t)got / sizeof *entries; i++, page++) {
            if (entries[i] >> 63)
                runs_put(runs, page * OS_PAGE, (page + 1) * OS_PAGE, false);
        }
    }
    return 0;
}

int runs_add(struct runs *runs, int fd, uint64_t start, uint64_t end)
{
    struct os_pages pages = {.fd = dup(fd)}; /* closed there when the kernel does not know the question */
    struct os_pages_run found;
    struct runs fresh = {0};
    bool known;

    if (pages.fd < 0)
        return errno;
    if (start >= end || end >> ADDRESS_BITS)
        start = end = 0;
    os_pages_over(&pages, (const void *)start, end - start);
    while (os_pages_next(&pages, &found) && pages.fd >= 0)
        runs_put(&fresh, found.start, found.end, found.huge);
    known = pages.fd >= 0;
    os_pages_close(&pages);
    for (size_t i = 0; known && i < fresh.count; i++)
        runs_put(runs, fresh.list[i].start, fresh.list[i].end, fresh.list[i].is_huge);
    runs_free(&fresh);
    return known ? 0 : add_by_entries(runs, fd, start, end);
}

void runs_add_of(struct runs *runs, const struct runs *all, uint64_t start, uint64_t end)
{
    size_t n = ranges_first(all->list, all->count, sizeof *all->list, start);

    for (; n < all->count && all->list[n].start < end; n++) {
        const struct run *run = &all->list[n];

        runs_put(runs, run->start > start ? run->start : start, run->end < end ? run->end : end, run->is_huge);
    }
}

void runs_sort(struct runs *runs)
{
    uint64_t end = 0;

    if (runs->count)
        qsort(runs->list, runs->count, sizeof *runs->list, ranges_order);
    for (size_t i = 0; i < runs->count; i++) {
        struct run *run = &runs->list[i];

        run->start = run->start > end ? run->start : end;
        run->end = run->end > run->start ? run->end : run->start;
        end = run->end;
    }
}

void runs_free(struct runs *runs)
{
    free(runs->list);
    *runs = (struct runs){0};
}
