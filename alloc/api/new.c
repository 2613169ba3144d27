/* SPDX-License-Identifier: MIT */
/*
 * C++'s operators new and delete, by their mangled names, so that the library needs no C++ runtime; C++17
 * [new.delete.single] and [new.delete.array] say what they do. The runtime is looked for only when memory has run out, to ask
 * for the new-handler and to throw std::bad_alloc, and when an exception must be caught. It may have been loaded after us and
 * outside the global scope (a plug-in of a C program), so the loaded modules are looked through for it.
 *
 * A program may replace some of the operators, and the others must then end in its own: the standard says which form calls
 * which, and libstdc++'s do. It may define malloc and free, too, and then new and delete must end there. So it is asked once,
 * at the first call of any operator, what the program has put in the place of ours:
 *
 *     OURS      nothing. Each form allocates or frees by itself, and the checks learn by which form
 *     REPLACED  something. Each form calls the one that the standard says; the last of them call malloc and free, which is what
 *               the checks learn: whose operator allocated a block and whose frees it, nobody knows any more
 *
 * That nothing was asked yet, or REPLACED is the answer, costs the fast paths nothing: the bounds with which they compare
 * anyway are 0 then, and every call is slow.
 */
#include <stdatomic.h>

#include "base/arch_catch.h"
#include "base/base.h"
#include "os/os.h"
#include "kit/report.h"
#include "heap/unitmap.h"
#include "callers/modules.h"
#include "api/front.h"

typedef void handler(void);
void *__cxa_begin_catch(void *) __attribute__((weak));

/* A function of the C++ runtime, or NULL. */
#if MYALLOC_STATIC
handler *_ZSt15get_new_handlerv(void) __attribute__((weak));
void _ZSt17__throw_bad_allocv(void) __attribute__((weak));
int __gxx_personality_v0(void) __attribute__((weak));
void __cxa_end_catch(void) __attribute__((weak));
#define RUNTIME(name) ((void *)(uintptr_t)name)
#else
#define RUNTIME(name) modules_find_before(NULL, #name)
#endif

struct nothrow;

/* Every form, with what it is given. */
#define ALL_FORMS(X)                                                                                                   \
    X(void *, _Znwm, (size_t bytes))                                                                                   \
    X(void *, _Znam, (size_t bytes))                                                                                   \
    X(void *, _ZnwmRKSt9nothrow_t, (size_t bytes, const struct nothrow *tag))                                          \
    X(void *, _ZnamRKSt9nothrow_t, (size_t bytes, const struct nothrow *tag))                                          \
    X(void *, _ZnwmSt11align_val_t, (size_t bytes, size_t align))                                                      \
    X(void *, _ZnamSt11align_val_t, (size_t bytes, size_t align))                                                      \
    X(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t align, const struct nothrow *tag))             \
    X(void *, _ZnamSt11align_val_tRKSt9nothrow_t, (size_t bytes, size_t align, const struct nothrow *tag))             \
    X(void, _ZdlPv, (void *p))                                                                                         \
    X(void, _ZdaPv, (void *p))                                                                                         \
    X(void, _ZdlPvm, (void *p, size_t bytes))                                                                          \
    X(void, _ZdaPvm, (void *p, size_t bytes))                                                                          \
    X(void, _ZdlPvSt11align_val_t, (void *p, size_t align))                                                            \
    X(void, _ZdaPvSt11align_val_t, (void *p, size_t align))                                                            \
    X(void, _ZdlPvmSt11align_val_t, (void *p, size_t bytes, size_t align))                                             \
    X(void, _ZdaPvmSt11align_val_t, (void *p, size_t bytes, size_t align))                                             \
    X(void, _ZdlPvRKSt9nothrow_t, (void *p, const struct nothrow *tag))                                                \
    X(void, _ZdaPvRKSt9nothrow_t, (void *p, const struct nothrow *tag))                                                \
    X(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const struct nothrow *tag))                   \
    X(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const struct nothrow *tag))

/* A form is weak so that in a static program the program's own stands in its place; `own_` and its name always lead to ours. */
#define DECLARE(type, name, parameters)                                                                                \
    EXPORT __attribute__((weak)) type name parameters;                                                                 \
    extern type own##name parameters __attribute__((alias(#name), visibility("hidden")));
ALL_FORMS(DECLARE)

static const char NEW[] = "operator new", NEW_ARRAY[] = "operator new[]";
static const char DELETE[] = "operator delete", DELETE_ARRAY[] = "operator delete[]";

/* ---- who has replaced what --------------------------------------------------------------------------------------- */

enum whose { NOT_ASKED, OURS, REPLACED };
static _Atomic int whose;
static size_t pop_end; /* requests below it may be served by the fast path: EXACT_MAX + 1 for OURS, else 0 */

#if MYALLOC_STATIC
/* The linker has decided. A program that defines malloc, too, does not link. */
#define THE(name) (name)

/* The compiler must not take the two for the same because it sees that one is an alias of the other. */
static bool leads_to(void *found, void *own) {
    __asm__("" : "+r"(found));
    return found == own;
}

static bool find_all(void) {
#define OR_IS_REPLACED(type, name, parameters) || !leads_to((void *)(uintptr_t)name, (void *)(uintptr_t)own##name)
    return false ALL_FORMS(OR_IS_REPLACED);
}

static void *c_malloc(size_t bytes) {
    return front_alloc(bytes, "malloc");
}

static void *c_aligned_alloc(size_t align, size_t bytes) {
    return front_aligned(align, bytes, "malloc");
}

static void c_free(void *p, size_t align) {
    (void)align;
    front_free(p, "free");
}
#else
/* A reference to each form by its name would be looked up at the start of every program, also of one in C. */
enum {
#define PLACE(type, name, parameters) AT##name,
    ALL_FORMS(PLACE) AT_MALLOC,
    AT_FREE,
    AT_ALIGNED_ALLOC,
    PLACES
};
static void *found[PLACES]; /* the program's own, NULL where it has none */
#define THE(name) ((__typeof__(&own##name))(found[AT##name] != NULL ? found[AT##name] : (void *)own##name))

static bool find_all(void) {
    static const char names[PLACES][40] = {
#define NAME(type, name, parameters) #name,
        ALL_FORMS(NAME) "malloc", "free", "aligned_alloc"};
    bool any = false;
    for (unsigned i = 0; i < PLACES; i++) {
        found[i] = modules_find_before(&whose, names[i]);
        any |= found[i] != NULL;
    }
    return any;
}

static void *c_malloc(size_t bytes) {
    void *(*own)(size_t) = (void *(*)(size_t))found[AT_MALLOC];
    return own != NULL ? own(max_size(bytes, 1)) : front_alloc(bytes, "malloc");
}

/* C11 wants a size that is a multiple of the alignment. It is not asked for what no program can have: rounded up, that might be
 * a small number. */
static void *c_aligned_alloc(size_t align, size_t bytes) {
    void *(*own)(size_t, size_t) = (void *(*)(size_t, size_t))found[AT_ALIGNED_ALLOC];
    if (own == NULL)
        return front_aligned(align, bytes, "malloc");
    bool possible = is_pow2(align) && align <= ALIGN_LIMIT && bytes <= SIZE_LIMIT;
    return possible ? own(align, align_up(max_size(bytes, 1), align)) : NULL;
}

/* A block that c_malloc gave, or with an `align` other than 0 c_aligned_alloc. */
static void c_free(void *p, size_t align) {
    void (*own)(void *) = (void (*)(void *))found[AT_FREE];
    if (own != NULL && found[align == 0 ? AT_MALLOC : AT_ALIGNED_ALLOC] != NULL)
        own(p);
    else
        front_free(p, "free");
}
#endif

/* Any number of threads may ask at the same time: they find the same. */
static COLD enum whose ask(void) {
    enum whose answer = find_all() ? REPLACED : OURS;
    if (answer == OURS)
        pop_end = EXACT_MAX + 1;
    atomic_store_explicit(&whose, answer, memory_order_release);
    return answer;
}

static inline bool is_replaced(void) {
    int known = atomic_load_explicit(&whose, memory_order_acquire);
    return UNLIKELY((LIKELY(known != NOT_ASKED) ? known : (int)ask()) == REPLACED);
}

/* A C++ program asks before it has threads, so that the first to ask is not the child of a fork, in which another thread that
 * is gone may have left the loader's list locked. */
__attribute__((constructor)) static void ask_at_start(void) {
    if (__cxa_begin_catch != NULL)
        is_replaced();
}

/* ---- out of memory ----------------------------------------------------------------------------------------------- */

static handler *new_handler(void) {
    handler *(*get)(void) = (handler * (*)(void)) RUNTIME(_ZSt15get_new_handlerv);
    return get != NULL ? get() : NULL;
}

static _Noreturn void throw_bad_alloc(size_t bytes) {
    void (*throw)(void) = (void (*)(void))RUNTIME(_ZSt17__throw_bad_allocv);
    if (throw != NULL)
        throw();
    report_line("operator new(%z): out of memory, and no C++ runtime to throw std::bad_alloc", bytes);
    os_abort();
}

/* ---- new --------------------------------------------------------------------------------------------------------- */

/* What stands for the alignment in the forms that are given none. It is no power of two, so no valid std::align_val_t. */
#define UNALIGNED SIZE_MAX

/* Memory for an operator. Not inlined: the loop of the handler needs it, too. */
static NOINLINE void *take(size_t bytes, size_t align, const char *call) {
    if (!is_replaced())
        return align == UNALIGNED ? front_alloc(bytes, call) : front_aligned(align, bytes, call);
    return align == UNALIGNED ? c_malloc(bytes) : c_aligned_alloc(align, bytes);
}

/* Calls the new-handler until there is memory or it gives up, by throwing or by being removed; NULL then. */
static void *ask_handler(size_t bytes, size_t align, const char *call) {
    for (handler *handle; (handle = new_handler()) != NULL;) {
        handle();
        void *p = take(bytes, align, call);
        if (p != NULL)
            return p;
    }
    return NULL;
}

static COLD void *new_or_throw(size_t bytes, size_t align, const char *call) {
    void *p = ask_handler(bytes, align, call);
    if (p == NULL)
        throw_bad_alloc(bytes);
    return p;
}

static COLD void *new_replaced(size_t bytes, const char *call) {
    if (call == NEW_ARRAY)
        return THE(_Znwm)(bytes);
    void *p = take(bytes, UNALIGNED, call);
    return p != NULL ? p : new_or_throw(bytes, UNALIGNED, call);
}

static NOINLINE void *new_slow(size_t bytes, const char *call) {
    if (is_replaced())
        return new_replaced(bytes, call);
    void *p = front_alloc_slow(bytes, call);
    return LIKELY(p != NULL) ? p : new_or_throw(bytes, UNALIGNED, call);
}

static void *new_aligned(size_t bytes, size_t align, const char *call) {
    if (is_replaced() && call == NEW_ARRAY)
        return THE(_ZnwmSt11align_val_t)(bytes, align);
    void *p = take(bytes, align, call);
    return LIKELY(p != NULL) ? p : new_or_throw(bytes, align, call);
}

#if ARCH_CATCHES
__attribute__((used)) HIDDEN void *new_runtime[3];
HIDDEN void *new_catch(void *(*function)(size_t, size_t), size_t bytes, size_t align);
ARCH_CATCH(new_catch, new_runtime);
#else
static void *new_runtime[3];
static void *new_catch(void *(*function)(size_t, size_t), size_t bytes, size_t align) {
    return function(bytes, align);
}
#endif

/* What the throwing form gives, which may be the program's; NULL if it throws. Where there is no runtime, nothing can be
 * caught, but nothing is thrown either. */
static COLD void *new_caught(size_t bytes, size_t align, bool array) {
    new_runtime[0] = RUNTIME(__gxx_personality_v0);
    new_runtime[1] = RUNTIME(__cxa_begin_catch);
    new_runtime[2] = RUNTIME(__cxa_end_catch);
    if (align != UNALIGNED)
        return new_catch(array ? THE(_ZnamSt11align_val_t) : THE(_ZnwmSt11align_val_t), bytes, align);
    return new_catch((void *(*)(size_t, size_t))(void *)(array ? THE(_Znam) : THE(_Znwm)), bytes, 0);
}

static NOINLINE void *nothrow_slow(size_t bytes, size_t align, const char *call) {
    if (!is_replaced()) {
        void *p = take(bytes, align, call);
        if (LIKELY(p != NULL) || new_handler() == NULL)
            return p;
    }
    return new_caught(bytes, align, call == NEW_ARRAY);
}

/* The four forms of new, for one object or for an array. */
#define OPERATOR_NEW(letter, call)                                                                                     \
    void *_Zn##letter##m(size_t bytes) {                                                                               \
        void *block = front_pop(bytes, pop_end);                                                                       \
        return LIKELY(block != NULL) ? block : new_slow(bytes, call);                                                  \
    }                                                                                                                  \
    void *_Zn##letter##mRKSt9nothrow_t(size_t bytes, const struct nothrow *tag) {                          \
        (void)tag;                                                                                                     \
        void *block = front_pop(bytes, pop_end);                                                                       \
        return LIKELY(block != NULL) ? block : nothrow_slow(bytes, UNALIGNED, call);                                   \
    }                                                                                                                  \
    void *_Zn##letter##mSt11align_val_t(size_t bytes, size_t align) {                                                  \
        return new_aligned(bytes, align, call);                                                                        \
    }                                                                                                                  \
    void *_Zn##letter##mSt11align_val_tRKSt9nothrow_t(size_t bytes, size_t align,                          \
                                                                  const struct nothrow *tag) {                         \
        (void)tag;                                                                                                     \
        return nothrow_slow(bytes, align, call);                                                                       \
    }

OPERATOR_NEW(w, NEW)
OPERATOR_NEW(a, NEW_ARRAY)

/* ---- forms that tell the size ------------------------------------------------------------------------------------ */

/* As LLVM and Google's tcmalloc declare them, for containers that use what rounding leaves. What was asked for, or what was
 * told, may be given to a sized delete. Where the program has operators of its own, nobody knows what they leave. The hint of
 * how often the block will be used (0 seldom, 255 often) is not taken. */
struct sized {
    void *block;
    size_t bytes;
};

static struct sized new_sized(size_t bytes, size_t align) {
    bool replaced = is_replaced();
    void *block = align == UNALIGNED ? THE(_Znwm)(bytes) : THE(_ZnwmSt11align_val_t)(bytes, align);
    return (struct sized){block, replaced ? bytes : front_usable(block, NEW)};
}

#define SIZE_RETURNING(suffix, align, ...)                                                                             \
    EXPORT __attribute__((weak)) struct sized __size_returning_new##suffix(size_t bytes, ##__VA_ARGS__);               \
    struct sized __size_returning_new##suffix(size_t bytes, ##__VA_ARGS__) {                                           \
        return new_sized(bytes, align);                                                                                \
    }
SIZE_RETURNING(, UNALIGNED)
SIZE_RETURNING(_aligned, align, size_t align)
SIZE_RETURNING(_hot_cold, UNALIGNED, __attribute__((unused)) uint8_t hint)
SIZE_RETURNING(_aligned_hot_cold, align, size_t align, __attribute__((unused)) uint8_t hint)

/* ---- delete ------------------------------------------------------------------------------------------------------ */

/* A form that is told the size calls the one that is not; that one, for an array, calls the one for an object, which frees. */
static COLD void delete_replaced(void *p, const char *call, size_t bytes, size_t align) {
    bool sized = bytes != UNSIZED, array = call == DELETE_ARRAY;
    if ((sized || array) && align == 0)
        (sized && array ? THE(_ZdaPv) : THE(_ZdlPv))(p);
    else if (sized || array)
        (sized && array ? THE(_ZdaPvSt11align_val_t) : THE(_ZdlPvSt11align_val_t))(p, align);
    else
        c_free(p, align);
}

/* Where every delete comes that the bound of the fast path does not let through. */
static NOINLINE void delete_slow(void *p, const char *call, size_t bytes, size_t align) {
    if (is_replaced()) {
        delete_replaced(p, call, bytes, align);
        return;
    }
    unitmap_share();
    front_free_sized(p, call, bytes, align);
}

/* Four forms of delete. What the caller knows of size and alignment goes to the checks. The fifth and sixth, which follow a
 * constructor that threw, are rare and always call the form without the tag. */
#define OPERATOR_DELETE(letter, call)                                                                                  \
    void _Zd##letter##Pv(void *p) {                                                                                    \
        front_free_below(unitmap.shared_limit, delete_slow, p, call, UNSIZED, 0);                                      \
    }                                                                                                                  \
    void _Zd##letter##Pvm(void *p, size_t bytes) {                                                         \
        front_free_below(unitmap.shared_limit, delete_slow, p, call, bytes, 0);                                        \
    }                                                                                                                  \
    void _Zd##letter##PvSt11align_val_t(void *p, size_t align) {                                                       \
        front_free_below(unitmap.shared_limit, delete_slow, p, call, UNSIZED, align);                                  \
    }                                                                                                                  \
    void _Zd##letter##PvmSt11align_val_t(void *p, size_t bytes, size_t align) {                            \
        front_free_below(unitmap.shared_limit, delete_slow, p, call, bytes, align);                                    \
    }                                                                                                                  \
    void _Zd##letter##PvRKSt9nothrow_t(void *p, const struct nothrow *tag) {                               \
        (void)tag, (void)is_replaced();                                                                                \
        THE(_Zd##letter##Pv)(p);                                                                                       \
    }                                                                                                                  \
    void _Zd##letter##PvSt11align_val_tRKSt9nothrow_t(void *p, size_t align, const struct nothrow *tag) {  \
        (void)tag, (void)is_replaced();                                                                                \
        THE(_Zd##letter##PvSt11align_val_t)(p, align);                                                                 \
    }

OPERATOR_DELETE(l, DELETE)
OPERATOR_DELETE(a, DELETE_ARRAY)
