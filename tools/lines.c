/* SPDX-License-Identifier: MIT */
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gzip.h"
#include "memory.h"
#include "read_at.h"
#include "zstd.h"

enum { WRONG_BYTES = 256, BUFFER = 2 * LINES_LONGEST, PIECE = 1 << 17 };

/* What stands between the file and its lines. */
struct lines_unpacker {
    void *gzip;
    struct zstd_stream *zstd;
    char packed[PIECE]; /* of zstd's: what is read */
    size_t at, end;
    bool is_middle;     /* of a frame */
};

/* Bytes that were read; 0 at the end, -1 and errno if it cannot be. */
static ssize_t read_some(int fd, void *to, size_t room)
{
    ssize_t got;

    do
        got = read(fd, to, room);
    while (got < 0 && errno == EINTR);
    return got;
}

static bool begin_gzip(struct lines *lines, char wrong[WRONG_BYTES])
{
    if (!gzip_load()) {
        snprintf(wrong, WRONG_BYTES, "cannot load " GZIP_LIBRARY "; apt-get install " GZIP_PACKAGE);
        return false;
    }
    lines->unpacker->gzip = gzip_read_open(lines->fd);
    if (!lines->unpacker->gzip)
        memory_fail();
    return true;
}

static bool begin_zstd(struct lines *lines, char wrong[WRONG_BYTES])
{
    if (!zstd_load()) {
        snprintf(wrong, WRONG_BYTES, "cannot load " ZSTD_LIBRARY "; apt-get install " ZSTD_PACKAGE);
        return false;
    }
    lines->unpacker->zstd = zstd_stream_open();
    if (!lines->unpacker->zstd)
        memory_fail();
    return true;
}

bool lines_open(struct lines *lines, const char *path, char wrong[WRONG_BYTES])
{
    unsigned char start[4] = {0};
    struct stat status;
    bool is_done = true;

    *lines = (struct lines){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (lines->fd < 0 || fstat(lines->fd, &status)) {
        snprintf(wrong, WRONG_BYTES, "%s", strerror(errno));
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        snprintf(wrong, WRONG_BYTES, "it is no plain file");
        return false;
    }
    lines->unpacker = memory_new(sizeof *lines->unpacker);
    lines->buffer = memory_new(BUFFER + 1);
    read_at(lines->fd, start, sizeof start, 0); /* a shorter file is plain */
    if (start[0] == 0x1f && start[1] == 0x8b)
        is_done = begin_gzip(lines, wrong);
    else if (!memcmp(start, "\x28\xb5\x2f\xfd", sizeof start))
        is_done = begin_zstd(lines, wrong);
    return is_done;
}

static ssize_t unpack_gzip(struct lines *lines, char *to, size_t room)
{
    bool is_middle;
    ssize_t got = gzip_read(lines->unpacker->gzip, to, room, &is_middle);

    if (got < 0)
        snprintf(lines->wrong, sizeof lines->wrong, "what gzip has compressed is damaged");
    else if (!got && is_middle)
        snprintf(lines->wrong, sizeof lines->wrong, "the file ends in the middle of what gzip has compressed");
    return got;
}

static ssize_t unpack_zstd(struct lines *lines, char *to, size_t room)
{
    struct lines_unpacker *own = lines->unpacker;

    for (;;) {
        size_t used = 0, made = 0;
        ssize_t got;

        if (own->at < own->end || own->is_middle) {
            if (!zstd_stream_expand(own->zstd, to, room, &made, own->packed + own->at, own->end - own->at, &used,
                                    &own->is_middle)) {
                snprintf(lines->wrong, sizeof lines->wrong, "what zstd has compressed is damaged");
                return -1;
            }
            own->at += used;
        }
        if (made)
            return (ssize_t)made;
        if (own->at < own->end) /* behind a frame that has nothing */
            continue;
        own->at = 0;
        got = read_some(lines->fd, own->packed, PIECE);
        own->end = got > 0 ? (size_t)got : 0;
        if (!got && own->is_middle)
            snprintf(lines->wrong, sizeof lines->wrong, "the file ends in the middle of what zstd has compressed");
        if (got <= 0)
            return got;
    }
}

static ssize_t unpack(struct lines *lines, char *to, size_t room)
{
    ssize_t got = lines->unpacker->gzip ? unpack_gzip(lines, to, room)
                  : lines->unpacker->zstd ? unpack_zstd(lines, to, room) : read_some(lines->fd, to, room);

    if (got < 0 && !lines->wrong[0])
        snprintf(lines->wrong, sizeof lines->wrong, "%s", strerror(errno));
    return got;
}

/* Reads on, and returns whether there was more. */
static bool fill(struct lines *lines)
{
    ssize_t got;

    memmove(lines->buffer, lines->buffer + lines->at, lines->end - lines->at);
    lines->end -= lines->at;
    lines->at = 0;
    got = lines->wrong[0] ? 0 : unpack(lines, lines->buffer + lines->end, BUFFER - lines->end);
    lines->end += got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* The rest of a line that is too long. */
static void skip(struct lines *lines)
{
    char *end;

    while (!(end = memchr(lines->buffer + lines->at, '\n', lines->end - lines->at))) {
        lines->at = lines->end;
        if (!fill(lines))
            return;
    }
    lines->at = (size_t)(end - lines->buffer) + 1;
}

char *lines_next(struct lines *lines, size_t *length)
{
    static char beginning[80]; /* of a long one */
    size_t looked = 0;
    char *line, *end;

    while (!(end = memchr(lines->buffer + lines->at + looked, '\n', lines->end - lines->at - looked))) {
        looked = lines->end - lines->at;
        if (looked >= LINES_LONGEST || !fill(lines))
            break;
    }
    line = lines->buffer + lines->at;
    *length = end ? (size_t)(end - line) : lines->end - lines->at;
    if (!end && !*length)
        return NULL;
    lines->is_long = *length >= LINES_LONGEST;
    lines->is_cut = !end && !lines->is_long;
    lines->number++;
    if (lines->is_long) {
        *length = sizeof beginning - 1;
        memcpy(beginning, line, *length);
        skip(lines);
        return beginning;
    }
    line[*length] = '\0';
    lines->at += *length + (end != NULL);
    return line;
}

void lines_close(struct lines *lines)
{
    if (lines->unpacker && lines->unpacker->gzip)
        gzip_read_close(lines->unpacker->gzip);
    if (lines->unpacker && lines->unpacker->zstd)
        zstd_stream_close(lines->unpacker->zstd);
    free(lines->unpacker);
    free(lines->buffer);
    if (lines->fd >= 0)
        close(lines->fd);
}
