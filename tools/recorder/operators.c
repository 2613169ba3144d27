/* SPDX-License-Identifier: MIT */
/* C++'s operators: an allocator may have its own, which do not end in its malloc. Where they do, as in libstdc++, the malloc is
 * inside of the operator's call and is not recorded again. An exception goes through these functions (-fexceptions). */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "calls.h"
#include "events.h"

struct new_call {
    struct stream *stream;
    size_t size, alignment; /* 0: as malloc */
    const void *block;      /* NULL as long as there is none */
};

static void end_new(struct new_call *call)
{
    if (!call->stream)
        return;
    if (call->alignment) {
        record_aligned(call->stream, RECORDING_ALIGNED_NEW, call->block, call->alignment, call->size);
        return;
    }
    event_new(call->stream, RECORDING_NEW, call->block, call->size);
    recorder_leave();
}

/* The next definition behind this library, or that of a C++ library which only a plug-in has brought. */
static COLD void *find(const char *name)
{
    static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"};
    void *found = dlsym(RTLD_NEXT, name);

    for (size_t i = 0; !found && i < sizeof libraries / sizeof *libraries; i++) {
        void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);

        found = library ? dlsym(library, name) : NULL;
    }
    return found;
}

/* Without any C++ library there is nobody to throw. */
static COLD void *new_plain(size_t size, size_t alignment)
{
    static const char text[] = "myalloc record: operator new has no memory, and no C++ library to throw an exception\n";
    void *block = alignment ? next.memalign(alignment, size) : next.malloc(size ? size : 1);

    if (!block) {
        ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);

        (void)written;
        abort();
    }
    return block;
}

#define NEW(name, parameters, arguments, aligned)                                                                           \
    EXPORTED void *name parameters;                                                                                         \
    EXPORTED void *name parameters                                                                                          \
    {                                                                                                                       \
        static void *(*found) parameters;                                                                                   \
        struct new_call call __attribute__((cleanup(end_new))) = {recorder_enter(), size, aligned, NULL};                   \
        void *block;                                                                                                        \
                                                                                                                            \
        if (UNLIKELY(!found))                                                                                               \
            *(void **)&found = find(#name);                                                                                 \
        block = found ? found arguments : new_plain(size, aligned);                                                         \
        call.block = block;                                                                                                 \
        return block;                                                                                                       \
    }

NEW(_Znwm, (size_t size), (size), 0)
NEW(_Znam, (size_t size), (size), 0)
NEW(_ZnwmRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), 0)
NEW(_ZnamRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), 0)
NEW(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment), alignment)
NEW(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment), alignment)
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag), (size, alignment, tag), alignment)
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag), (size, alignment, tag), alignment)

#define DELETE(name, parameters, arguments)                                                                                 \
    EXPORTED void name parameters;                                                                                          \
    EXPORTED void name parameters                                                                                           \
    {                                                                                                                       \
        static void(*found) parameters;                                                                                     \
        struct stream *stream = recorder_enter();                                                                           \
                                                                                                                            \
        if (stream)                                                                                                         \
            event_free(stream, block);                                                                                      \
        else                                                                                                                \
            event_take(block);                                                                                              \
        if (UNLIKELY(!found))                                                                                               \
            *(void **)&found = find(#name);                                                                                 \
        if (found)                                                                                                          \
            found arguments;                                                                                                \
        else                                                                                                                \
            next.free(block);                                                                                               \
        if (stream)                                                                                                         \
            recorder_leave();                                                                                               \
    }

DELETE(_ZdlPv, (void *block), (block))
DELETE(_ZdaPv, (void *block), (block))
DELETE(_ZdlPvm, (void *block, size_t size), (block, size))
DELETE(_ZdaPvm, (void *block, size_t size), (block, size))
DELETE(_ZdlPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))
DELETE(_ZdaPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))
DELETE(_ZdlPvSt11align_val_t, (void *block, size_t alignment), (block, alignment))
DELETE(_ZdaPvSt11align_val_t, (void *block, size_t alignment), (block, alignment))
DELETE(_ZdlPvmSt11align_val_t, (void *block, size_t size, size_t alignment), (block, size, alignment))
DELETE(_ZdaPvmSt11align_val_t, (void *block, size_t size, size_t alignment), (block, size, alignment))
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t alignment, const void *tag), (block, alignment, tag))
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t alignment, const void *tag), (block, alignment, tag))
