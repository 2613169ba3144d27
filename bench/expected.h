/* SPDX-License-Identifier: MIT */
/* What a program must write, in a file of one line `LENGTH HASH`: for the helpers that compare it. The hash is 64-bit
 * FNV-1a. */
#ifndef EXPECTED_H
#define EXPECTED_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { STATUS_DIFFERS = 1, STATUS_FAILED = 125, EXPECTED_ROOM = 64 };

struct written {
    unsigned long long length;
    uint64_t hash;
};

static const struct written NOTHING_WRITTEN = {0, 0xcbf29ce484222325u};

static inline void written_add(struct written *all, const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        all->hash = (all->hash ^ bytes[i]) * 0x100000001b3u;
    all->length += count;
}

static inline int give_up(const char *what, int error) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(error));
    return STATUS_FAILED;
}

static inline void written_text(struct written all, char text[EXPECTED_ROOM]) {
    snprintf(text, EXPECTED_ROOM, "%llu %016llx\n", all.length, (unsigned long long)all.hash);
}

/* Writes the file; 0, or the exit status with the reason on stderr. */
static inline int expected_make(const char *path, struct written all) {
    char text[EXPECTED_ROOM];
    FILE *file = fopen(path, "w");
    written_text(all, text);
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        return give_up(path, errno);
    return 0;
}

/* 0 if the file holds just that; else the exit status, with the reason on stderr. */
static inline int expected_compare(const char *path, struct written all) {
    char text[EXPECTED_ROOM], wanted[EXPECTED_ROOM] = "";
    FILE *file = fopen(path, "r");
    if (!file || !fgets(wanted, sizeof wanted, file))
        return give_up(path, file ? EINVAL : errno);
    fclose(file);
    written_text(all, text);
    if (strcmp(wanted, text) == 0)
        return 0;
    wanted[strcspn(wanted, "\n")] = '\0';
    fprintf(stderr, "%s: the output is another: length and hash %.*s instead of %s\n", program_invocation_short_name,
            (int)strcspn(text, "\n"), text, wanted);
    return STATUS_DIFFERS;
}

#endif
