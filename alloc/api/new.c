/* SPDX-License-Identifier: MIT */
/*
 * C++'s operators new and delete, by their mangled names, so that the library needs no C++ runtime; C++17
 * [new.delete.single] says what they do. The runtime is looked for only when memory has run out: to ask for the
 * new-handler and to throw std::bad_alloc. It may have been loaded after us and outside the global scope (a plug-in of a
 * C program), hence dlopen with RTLD_NOLOAD rather than weak references alone.
 */
#include <dlfcn.h>

#include "base/base.h"
#include "os/os.h"
#include "kit/report.h"
#include "api/front.h"

typedef void handler(void);
handler *_ZSt15get_new_handlerv(void) __attribute__((weak));
_Noreturn void _ZSt17__throw_bad_allocv(void) __attribute__((weak));
#pragma weak dlsym /* not there in a static program, whose runtime the weak references above find */

struct nothrow;

/* A C++ runtime's own symbol, even where one of ours has the same name. */
static void *runtime_symbol(const char *name) {
    static const char *const runtimes[] = {"libstdc++.so.6", "libc++.so.1"};
    void *symbol = dlsym != NULL ? dlsym(RTLD_NEXT, name) : NULL;
#if !MYALLOC_STATIC
    for (size_t i = 0; symbol == NULL && i < sizeof runtimes / sizeof *runtimes; i++) {
        void *runtime = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);
        symbol = runtime ? dlsym(runtime, name) : NULL;
    }
#else
    (void)runtimes; /* the linker warns about dlopen in static programs */
#endif
    return symbol;
}

static handler *new_handler(void) {
    handler *(*get)(void) = _ZSt15get_new_handlerv;
    if (get == NULL)
        *(void **)&get = runtime_symbol("_ZSt15get_new_handlerv");
    return get ? get() : NULL;
}

static _Noreturn void throw_bad_alloc(size_t bytes) {
    void (*throw)(void) = _ZSt17__throw_bad_allocv;
    if (throw == NULL)
        *(void **)&throw = runtime_symbol("_ZSt17__throw_bad_allocv");
    if (throw != NULL)
        throw();
    report_line("operator new(%z): out of memory, and no C++ runtime to throw std::bad_alloc", bytes);
    os_abort();
}

static const char NEW[] = "operator new", NEW_ARRAY[] = "operator new[]";
static const char DELETE[] = "operator delete", DELETE_ARRAY[] = "operator delete[]";

/* Calls the new-handler until there is memory or it gives up, by throwing or by being removed; NULL then. */
static void *ask_handler(size_t bytes, size_t align, const char *call) {
    for (handler *handle; (handle = new_handler()) != NULL;) {
        handle();
        void *p = front_aligned(align, bytes, call);
        if (p != NULL)
            return p;
    }
    return NULL;
}

static COLD void *new_slow(size_t bytes, size_t align, const char *call) {
    void *p = ask_handler(bytes, align, call);
    if (p == NULL)
        throw_bad_alloc(bytes);
    return p;
}

/* The handler may throw, which a nothrow form must catch: libstdc++'s own form does, around a call of ours. A static
 * program has no other form; there a handler that throws ends the program. */
static COLD void *nothrow_slow(size_t bytes, size_t align, const struct nothrow *tag, const char *call) {
    if (new_handler() == NULL)
        return NULL;
    bool array = call == NEW_ARRAY;
    void *(*plain)(size_t, const struct nothrow *);
    void *(*aligned)(size_t, size_t, const struct nothrow *);
    *(void **)&plain = runtime_symbol(array ? "_ZnamRKSt9nothrow_t" : "_ZnwmRKSt9nothrow_t");
    *(void **)&aligned =
        runtime_symbol(array ? "_ZnamSt11align_val_tRKSt9nothrow_t" : "_ZnwmSt11align_val_tRKSt9nothrow_t");
    if (plain == NULL || aligned == NULL)
        return ask_handler(bytes, align, call);
    return align <= BLOCK_ALIGN ? plain(bytes, tag) : aligned(bytes, align, tag);
}

/* The four forms of new, for one object or for an array. */
#define OPERATOR_NEW(letter, call)                                                                                     \
    EXPORT void *_Zn##letter##m(size_t bytes) {                                                                        \
        void *p = front_alloc(bytes, call);                                                                            \
        return LIKELY(p != NULL) ? p : new_slow(bytes, BLOCK_ALIGN, call);                                             \
    }                                                                                                                  \
    EXPORT void *_Zn##letter##mRKSt9nothrow_t(size_t bytes, const struct nothrow *tag) {                               \
        void *p = front_alloc(bytes, call);                                                                            \
        return LIKELY(p != NULL) ? p : nothrow_slow(bytes, BLOCK_ALIGN, tag, call);                                    \
    }                                                                                                                  \
    EXPORT void *_Zn##letter##mSt11align_val_t(size_t bytes, size_t align) {                                           \
        void *p = front_aligned(align, bytes, call);                                                                   \
        return LIKELY(p != NULL) ? p : new_slow(bytes, align, call);                                                   \
    }                                                                                                                  \
    EXPORT void *_Zn##letter##mSt11align_val_tRKSt9nothrow_t(size_t bytes, size_t align, const struct nothrow *tag) {  \
        void *p = front_aligned(align, bytes, call);                                                                   \
        return LIKELY(p != NULL) ? p : nothrow_slow(bytes, align, tag, call);                                          \
    }

/* The six forms of delete. What the caller knows of size and alignment goes to the checks. */
#define OPERATOR_DELETE(letter, call)                                                                                  \
    EXPORT void _Zd##letter##Pv(void *p) {                                                                             \
        front_free(p, call);                                                                                           \
    }                                                                                                                  \
    EXPORT void _Zd##letter##Pvm(void *p, size_t bytes) {                                                              \
        front_free_sized(p, call, bytes, 0);                                                                           \
    }                                                                                                                  \
    EXPORT void _Zd##letter##PvSt11align_val_t(void *p, size_t align) {                                                \
        front_free_sized(p, call, UNSIZED, align);                                                                     \
    }                                                                                                                  \
    EXPORT void _Zd##letter##PvmSt11align_val_t(void *p, size_t bytes, size_t align) {                                 \
        front_free_sized(p, call, bytes, align);                                                                       \
    }

OPERATOR_NEW(w, NEW)
OPERATOR_NEW(a, NEW_ARRAY)
OPERATOR_DELETE(l, DELETE)
OPERATOR_DELETE(a, DELETE_ARRAY)

#define ALIAS(name) __attribute__((alias(#name), visibility("default")))

/* The nothrow tag, a last argument, is not looked at. */
extern void _ZdlPvRKSt9nothrow_t(void *) ALIAS(_ZdlPv);
extern void _ZdaPvRKSt9nothrow_t(void *) ALIAS(_ZdaPv);
extern void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *, size_t) ALIAS(_ZdlPvSt11align_val_t);
extern void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *, size_t) ALIAS(_ZdaPvSt11align_val_t);
