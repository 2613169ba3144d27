/* SPDX-License-Identifier: MIT */
/* A heap profile as the library writes it (alloc/observe/profile_text.h), read into memory. */
#ifndef TOOLS_HEAP_PROFILE_H
#define TOOLS_HEAP_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* What is live, what was allocated in all, what was live at the peak. */
enum heap_kind { HEAP_LIVE, HEAP_ALL, HEAP_PEAK, HEAP_KINDS };

/* How long what is free was live: up to 10 ms, 100 ms, 1 s, 10 s, 100 s, and longer. */
enum { HEAP_LIVES = 6 };

struct heap_amount {
    int64_t objects, bytes;
    int64_t samples; /* that these rest on */
};

struct heap_amounts {
    struct heap_amount of[HEAP_KINDS];
};

struct heap_site {
    struct heap_amounts amounts;
    char call[32];       /* what was called: malloc, calloc, ... */
    char tag[64];        /* that its threads had; "" if none */
    int64_t class_bytes; /* of its size class; 0: larger */
    int64_t lived[HEAP_LIVES]; /* allocations that are freed, by how long they were live */
    size_t first;        /* of its return addresses, the innermost first */
    size_t depth;
};

/* A file's code, or the kernel's, as it lay in the program's memory. */
struct heap_map {
    uint64_t start, end, offset; /* addresses, and what of the file lies at the start */
    uint64_t inode;
    char *build_id;              /* hexadecimal digits; NULL if unknown */
    char *path;                  /* "" if there is no file; without the kernel's " (deleted)" */
    bool is_deleted;
};

struct heap_profile {
    int64_t interval; /* one byte in about so many was sampled */
    time_t written;   /* when; 0 if the file does not tell */
    struct heap_amounts totals;
    struct heap_site *sites;
    size_t site_count, site_room;
    uint64_t *addresses;
    size_t address_count, address_room;
    struct heap_map *maps; /* by start */
    size_t map_count, map_room;
};

/* Reads a file. On success NULL, and what stands in *profile is to be given to heap_profile_free. Otherwise what is wrong with
   the file and what helps, without the file's name; the text is valid until the next call. */
const char *heap_profile_read(const char *path, struct heap_profile *profile);
void heap_profile_free(struct heap_profile *profile);

/* Adds a line of /proc/PID/maps; lines come in order of their addresses. False if it is none. */
bool heap_profile_add_map(struct heap_profile *profile, const char *line);

/* The code at an address, or NULL. */
const struct heap_map *heap_profile_map(const struct heap_profile *profile, uint64_t address);

/* The code of the program that wrote it, or NULL if that is not known. */
const struct heap_map *heap_profile_program(const struct heap_profile *profile);

/* Adds `more` to `sum`. False if a number gets too large. */
bool heap_amounts_add(struct heap_amounts *sum, const struct heap_amounts *more);

#endif
