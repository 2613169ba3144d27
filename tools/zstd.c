/* SPDX-License-Identifier: MIT */
#include "zstd.h"

#include "dynamic.h"

enum { LEVEL = 3 }; /* as the command zstd */

struct piece_in {
    const void *bytes;
    size_t size, at;
};

struct piece_out {
    void *bytes;
    size_t size, at;
};

/* As <zstd.h> has them since 1.4; the first two allocate nothing. */
static struct {
    void *(*context)(void *work, size_t bytes);
    size_t (*context_bytes)(void);
    size_t (*expand)(void *context, void *to, size_t room, const void *from, size_t stored);
    size_t (*bound)(size_t count);
    size_t (*pack)(void *to, size_t room, const void *from, size_t count, int level);
    unsigned (*is_error)(size_t result);
    struct zstd_stream *(*open)(void);
    size_t (*close)(struct zstd_stream *stream);
    size_t (*go_on)(struct zstd_stream *stream, struct piece_out *out, struct piece_in *in);
} zstd;

bool zstd_load(void)
{
    const struct dynamic_function functions[] = {{"ZSTD_initStaticDCtx", &zstd.context},
        {"ZSTD_estimateDCtxSize", &zstd.context_bytes}, {"ZSTD_decompressDCtx", &zstd.expand},
        {"ZSTD_compressBound", &zstd.bound}, {"ZSTD_compress", &zstd.pack}, {"ZSTD_isError", &zstd.is_error},
        {"ZSTD_createDStream", &zstd.open}, {"ZSTD_freeDStream", &zstd.close}, {"ZSTD_decompressStream", &zstd.go_on}};

    return dynamic_load(ZSTD_LIBRARY, functions, sizeof functions / sizeof *functions);
}

size_t zstd_work_bytes(void)
{
    return (zstd.context_bytes() + 7) / 8 * 8;
}

bool zstd_expand(void *work, void *to, size_t count, const void *from, size_t stored)
{
    void *context = zstd.context(work, zstd_work_bytes());

    return context && zstd.expand(context, to, count, from, stored) == count; /* an error is a number beyond all sizes */
}

size_t zstd_packed_most(size_t count)
{
    return zstd.bound(count);
}

size_t zstd_pack(void *to, size_t room, const void *from, size_t count)
{
    size_t packed = zstd.pack(to, room, from, count, LEVEL);

    return zstd.is_error(packed) ? 0 : packed;
}

struct zstd_stream *zstd_stream_open(void)
{
    return zstd.open();
}

bool zstd_stream_expand(struct zstd_stream *stream, void *to, size_t room, size_t *given, const void *from, size_t count,
                        size_t *taken, bool *is_middle)
{
    struct piece_out out = {to, room, 0};
    struct piece_in in = {from, count, 0};
    size_t left = zstd.go_on(stream, &out, &in);

    *given = out.at;
    *taken = in.at;
    *is_middle = left != 0;
    return !zstd.is_error(left);
}

void zstd_stream_close(struct zstd_stream *stream)
{
    zstd.close(stream);
}
