/* SPDX-License-Identifier: MIT */
#include "target_pages.h"

#include <errno.h>
#include <unistd.h>

#include "core_areas.h"

int target_pages_open(const struct target *target, struct areas *areas, struct target_pages *pages)
{
    *areas = (struct areas){0};
    *pages = (struct target_pages){.fd = -1};
    if (target->core)
        return core_areas_read(target->core, areas, &pages->held);
    pages->fd = runs_open(target->number);
    return pages->fd < 0 ? errno : areas_read(target->number, areas);
}

int target_pages_add(const struct target_pages *pages, struct runs *runs, uint64_t start, uint64_t end)
{
    if (pages->fd >= 0)
        return runs_add(runs, pages->fd, start, end);
    runs_add_of(runs, &pages->held, start, end);
    return 0;
}

void target_pages_close(struct target_pages *pages)
{
    if (pages->fd >= 0)
        close(pages->fd);
    runs_free(&pages->held);
}
