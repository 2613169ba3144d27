/* SPDX-License-Identifier: MIT */
/* The areas of another process's address space, as the kernel lists them, and which of their pages have memory. */
#ifndef TOOLS_AREAS_H
#define TOOLS_AREAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line of /proc/PID/smaps with what stands below it, in bytes. */
struct area {
    uint64_t start, end;
    uint64_t resident, swapped;
    uint64_t lazy; /* given back by MADV_FREE, and resident until the kernel needs it */
    bool is_file;
    bool is_private; /* can be written, and is not shared */
    char *name;    /* "" if it has none */
};

struct areas {
    struct area *list; /* by address */
    size_t count, room;
};

/* Reads them. Returns 0, or errno. */
int areas_read(int number, struct areas *areas);
void areas_free(struct areas *areas);

/* The area that an address lies in, or NULL. */
const struct area *areas_find(const struct areas *areas, uint64_t address);

/* Whether all of [start, end) lies in areas. */
bool areas_cover(const struct areas *areas, uint64_t start, uint64_t end);

/* Neighbouring pages that have memory. */
struct run {
    uint64_t start, end;
    bool is_huge; /* in huge pages, as far as the kernel tells */
};

struct runs {
    struct run *list; /* in the order in which they were asked for */
    size_t count, room;
};

/* Opens what tells the pages of a process (/proc/PID/pagemap). Returns a descriptor, or -1 with errno. */
int runs_open(int number);

/* Adds the runs in [start, end), any addresses: of what is not mapped there are none. Returns 0, or errno. */
int runs_add(struct runs *runs, int fd, uint64_t start, uint64_t end);

/* Adds what of `all`, which are in the order of addresses, lies in [start, end). */
void runs_add_of(struct runs *runs, const struct runs *all, uint64_t start, uint64_t end);

/* Adds one run. */
void runs_put(struct runs *runs, uint64_t start, uint64_t end, bool is_huge);

/* By address, without what is in two. */
void runs_sort(struct runs *runs);
void runs_free(struct runs *runs);

#endif
