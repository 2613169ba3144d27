/* SPDX-License-Identifier: MIT */
/* The lines of a text, plain or compressed by gzip or zstd, whatever its name is. Their libraries are loaded when they are
   needed. */
#ifndef TOOLS_LINES_H
#define TOOLS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
    int fd;
    struct lines_unpacker *unpacker;
    char *buffer;
    size_t at, end; /* what is read and not given yet */
    uint64_t number; /* of the line that was given last, from 1 on */
    bool is_long;    /* that line was longer than LINES_LONGEST, and only its beginning is given */
    bool is_cut;     /* that line, the last one, had no end */
    char wrong[128]; /* why there are no more lines, if it is not the end of the text; else "" */
};

enum { LINES_LONGEST = 1 << 20 };

/* False, and `wrong` says why in words, if the file cannot be read. */
bool lines_open(struct lines *lines, const char *path, char wrong[256]);

/* The next line without its end, as a string; its length, which is more than that of the string if a NUL is in it. NULL at the
   end. Until the next call. */
char *lines_next(struct lines *lines, size_t *length);

void lines_close(struct lines *lines);

#endif
