/* SPDX-License-Identifier: MIT */
#include "gzip.h"

#include <fcntl.h>
#include <unistd.h>

#include "dynamic.h"

enum { PIECE = 1 << 20, ZLIB_OK = 0, ZLIB_CUT = -5 }; /* Z_BUF_ERROR: the file ends in the middle */

/* As <zlib.h> has them since 1.2.3.5. */
static struct {
    void *(*open)(int fd, const char *mode);
    int (*write)(void *file, const void *bytes, unsigned count);
    int (*close)(void *file), (*close_read)(void *file);
    int (*read)(void *file, void *bytes, unsigned room);
    const char *(*error)(void *file, int *number);
} zlib;

bool gzip_load(void)
{
    const struct dynamic_function functions[] = {{"gzdopen", &zlib.open}, {"gzwrite", &zlib.write},
        {"gzclose_w", &zlib.close}, {"gzclose_r", &zlib.close_read}, {"gzread", &zlib.read}, {"gzerror", &zlib.error}};

    return dynamic_load(GZIP_LIBRARY, functions, sizeof functions / sizeof *functions);
}

bool gzip_write(FILE *file, const void *bytes, size_t count)
{
    int fd = fflush(file) ? -1 : fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    void *out = fd < 0 ? NULL : zlib.open(fd, "wb");
    bool is_whole = out != NULL;

    if (!out && fd >= 0)
        close(fd);
    for (size_t at = 0, piece; at < count && is_whole; at += piece) {
        piece = count - at < PIECE ? count - at : PIECE;
        is_whole = zlib.write(out, (const char *)bytes + at, (unsigned)piece) == (int)piece;
    }
    return out && zlib.close(out) == ZLIB_OK && is_whole;
}

void *gzip_read_open(int fd)
{
    int copy = lseek(fd, 0, SEEK_SET) ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    void *reader = copy < 0 ? NULL : zlib.open(copy, "rb");

    if (!reader && copy >= 0)
        close(copy);
    return reader;
}

ssize_t gzip_read(void *reader, void *to, size_t room, bool *is_middle)
{
    int got = zlib.read(reader, to, room < PIECE ? (unsigned)room : PIECE), number = ZLIB_OK;

    zlib.error(reader, &number);
    *is_middle = number == ZLIB_CUT;
    return got;
}

void gzip_read_close(void *reader)
{
    zlib.close_read(reader);
}
