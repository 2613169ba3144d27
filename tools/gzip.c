/* SPDX-License-Identifier: MIT */
#include "gzip.h"

#include <fcntl.h>
#include <unistd.h>

#include "dynamic.h"

enum { PIECE = 1 << 20, ZLIB_OK = 0 };

/* As <zlib.h> has them since 1.2.3.5. */
static struct {
    void *(*open)(int fd, const char *mode);
    int (*write)(void *file, const void *bytes, unsigned count);
    int (*close)(void *file);
} zlib;

bool gzip_load(void)
{
    const struct dynamic_function functions[] = {{"gzdopen", &zlib.open}, {"gzwrite", &zlib.write},
        {"gzclose_w", &zlib.close}};

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
