/* SPDX-License-Identifier: MIT */
/* The areas of a process or a core file, and which of their pages have memory. */
#ifndef TOOLS_TARGET_PAGES_H
#define TOOLS_TARGET_PAGES_H

#include "areas.h"
#include "target.h"

struct target_pages {
    int fd;           /* of a process, as runs_open has it; -1 of a core file, */
    struct runs held; /* of which these are all */
};

/* Reads the areas, and opens the pages. Returns 0, or errno; in either case both are to be given back. */
int target_pages_open(const struct target *target, struct areas *areas, struct target_pages *pages);
void target_pages_close(struct target_pages *pages);

/* As runs_add. */
int target_pages_add(const struct target_pages *pages, struct runs *runs, uint64_t start, uint64_t end);

#endif
