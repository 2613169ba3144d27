/* SPDX-License-Identifier: MIT */
#include "zstd.h"

#include "dynamic.h"

/* As <zstd.h> has them since 1.4; the first two allocate nothing. */
static struct {
    void *(*context)(void *work, size_t bytes);
    size_t (*context_bytes)(void);
    size_t (*expand)(void *context, void *to, size_t room, const void *from, size_t stored);
} zstd;

bool zstd_load(void)
{
    const struct dynamic_function functions[] = {{"ZSTD_initStaticDCtx", &zstd.context},
        {"ZSTD_estimateDCtxSize", &zstd.context_bytes}, {"ZSTD_decompressDCtx", &zstd.expand}};

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
