/* SPDX-License-Identifier: MIT */
/*
 * dlopen and dlmopen, without RTLD_DEEPBIND. A library that is opened with that flag finds the names it uses in libc before it
 * finds them in the program's global scope, where the preloaded library is. So its malloc would be libc's while the program's
 * is ours, and a block that goes from one to the other ends the process. PHP opens its extensions so, Apache and Samba their
 * modules.
 *
 * Without the flag such a library uses the program's malloc, as all others do. What else the flag is for is lost with it: a
 * library that brings its own version of something the program has, too, is bound to the program's. deepbind:on leaves the
 * flag alone. A namespace of its own (dlmopen) has a libc of its own with a malloc of its own, and nothing here changes that;
 * whoever opens one knows that blocks do not cross its border.
 *
 * The loader asks where dlopen was called from: the caller's library says where to search (RPATH, $ORIGIN) and which namespace
 * is meant. So both functions jump to libc's, or to that of the next library that has one, and leave no trace on the stack. A
 * static program has no loader, and a program that links libmyalloc.a keeps libc's dlopen.
 *
 * Where libc does not say without a lock what is loaded (callers/objects.h), call stacks are told here that it changes, and
 * dlclose, which does not ask where it was called from, is ours as well.
 */
#include "base/arch_forward.h"
#include "base/base.h"

#if !MYALLOC_STATIC
#include <dlfcn.h>
#include <stdatomic.h>

#include "os/os.h"
#include "kit/environment.h"
#include "kit/tunables.h"
#include "callers/code.h"
#include "callers/objects.h"

struct next {
    _Atomic(void *) function;
    const char *name;
};

static struct next next_dlopen = {NULL, "dlopen"}, next_dlmopen = {NULL, "dlmopen"};

/* Where no library has the function, nobody can have called ours but by mistake. */
static void *refuse(void) {
    return NULL;
}

/* Two threads find the same. */
static void *find(struct next *next) {
    void *function = atomic_load_explicit(&next->function, memory_order_relaxed);
    if (function == NULL) {
        function = os_next_function(next->name);
        if (function == NULL)
            *(void *(**)(void))&function = refuse;
        atomic_store_explicit(&next->function, function, memory_order_relaxed);
    }
    return function;
}

static int without_deepbind(int mode) {
    environment_read();
    if (!MYALLOC_FINDS_OBJECTS)
        code_changes();
    return tunables.deepbind ? mode : mode & ~RTLD_DEEPBIND;
}

/* Called by the functions below, from assembler. */
__attribute__((used)) HIDDEN struct arch_next dlopen_next(const char *file, int mode) {
    (void)file;
    return (struct arch_next){find(&next_dlopen), without_deepbind(mode)};
}

__attribute__((used)) HIDDEN struct arch_next dlmopen_next(Lmid_t space, const char *file, int mode) {
    (void)file;
    return (struct arch_next){find(&next_dlmopen), space == LM_ID_BASE ? without_deepbind(mode) : mode};
}

#if ARCH_FORWARDS
ARCH_FORWARD_2(dlopen, dlopen_next);
ARCH_FORWARD_3(dlmopen, dlmopen_next);
#else
EXPORT void *dlopen(const char *file, int mode) {
    struct arch_next next = dlopen_next(file, mode);
    return ((void *(*)(const char *, int))next.function)(file, (int)next.last);
}

EXPORT void *dlmopen(Lmid_t space, const char *file, int mode) {
    struct arch_next next = dlmopen_next(space, file, mode);
    return ((void *(*)(Lmid_t, const char *, int))next.function)(space, file, (int)next.last);
}
#endif

#if !MYALLOC_FINDS_OBJECTS
static struct next next_dlclose = {NULL, "dlclose"};

EXPORT int dlclose(void *library) {
    code_closes();
    int result = ((int (*)(void *))find(&next_dlclose))(library);
    code_closed();
    return result;
}
#endif
#endif
