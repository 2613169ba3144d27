/* SPDX-License-Identifier: MIT */
#include "zstd.h"

#include <dlfcn.h>

/* As <zstd.h> has them since 1.4; the first two allocate nothing. */
static struct {
    void *(*context)(void *work, size_t bytes);
    size_t (*context_bytes)(void);
    size_t (*expand)(void *context, void *to, size_t room, const void *from, size_t stored);
} zstd;

bool zstd_load(void)
{
    void *handle = dlopen(ZSTD_LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (!handle)
        return false;
    *(void **)&zstd.context = dlsym(handle, "ZSTD_initStaticDCtx");
    *(void **)&zstd.context_bytes = dlsym(handle, "ZSTD_estimateDCtxSize");
    *(void **)&zstd.expand = dlsym(handle, "ZSTD_decompressDCtx");
    return zstd.context && zstd.context_bytes && zstd.expand;
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
