/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <mcheck.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../alloc/base/myalloc.h"
#include "decode.h"
#include "sandbox.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define UNIT (16 * KIB)
#define LIVE_MOST (96 * MIB) /* of all blocks: a larger one is not asked for beyond that */
#define CERTAIN (64 * MIB)   /* requests below this succeed, unless the input sees to it that memory is short */
#define FORKS_MOST 2
#define ERRNO_BEFORE 4711

void cfree(void *p);
void free_sized(void *p, size_t bytes);
void free_aligned_sized(void *p, size_t align, size_t bytes);

/* The operators by their mangled names. */
typedef const char *tag;
void *_ZnwmRKSt9nothrow_t(size_t bytes, tag nothrow);
void *_ZnamRKSt9nothrow_t(size_t bytes, tag nothrow);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t bytes, size_t align, tag nothrow);
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t bytes, size_t align, tag nothrow);
void _ZdlPv(void *p);
void _ZdaPv(void *p);
void _ZdlPvm(void *p, size_t bytes);
void _ZdaPvm(void *p, size_t bytes);
void _ZdlPvSt11align_val_t(void *p, size_t align);
void _ZdaPvSt11align_val_t(void *p, size_t align);
void _ZdlPvmSt11align_val_t(void *p, size_t bytes, size_t align);
void _ZdaPvmSt11align_val_t(void *p, size_t bytes, size_t align);

/* ---- the model --------------------------------------------------------------------------------------------------- */

enum maker { BY_MALLOC, BY_ALIGNED_ALLOC, BY_OTHER, BY_NEW, BY_NEW_ARRAY, BY_ALIGNED_NEW, BY_ALIGNED_NEW_ARRAY };

struct block {
    unsigned char *p; /* NULL: the slot is empty */
    size_t bytes, usable, align;
    enum maker maker;
    unsigned char seed;
};

static struct start start;
static struct call calls[CALLS_MOST];
static size_t call_count;
static struct block blocks[SLOTS];
static int owner[SLOTS]; /* of a slot in this batch, where calls run in parallel; -1: nobody */

static struct {
    bool check, several; /* the checks are on; threads are in the allocator at the same time */
    bool perturb_known;  /* nobody has changed it */
    bool limited;        /* a limit is, or was, set */
    bool limit_known;    /* it is the one from the start */
    int forks;
    unsigned refused_before; /* when the batch began */
    _Atomic unsigned fills;
    _Atomic size_t live;
    size_t foreign, foreign_blocks; /* what libc has allocated for itself (in the open sandbox only) */
} model;

bool calls_shown;
static bool in_child;
static _Thread_local const struct call *now;

__attribute__((format(printf, 1, 2))) static void show(const char *format, ...) {
    char text[512];
    va_list arguments;
    if (!calls_shown)
        return;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (write(STDOUT_FILENO, text, (size_t)length) < 0)
        _exit(3);
}

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format, ...) {
    char text[1024], call[256];
    va_list arguments;
    va_start(arguments, format);
    int at = now ? snprintf(text, sizeof text, "calls: %s, call %zu: %s: ", in_child ? "in the child" : "here",
                            (size_t)(now - calls), decode_show(now, call, sizeof call))
                 : snprintf(text, sizeof text, "calls: ");
    at += vsnprintf(text + at, sizeof text - (size_t)at - 2, format, arguments);
    va_end(arguments);
    text[at++] = '\n';
    if (write(STDERR_FILENO, text, (size_t)at) < 0 || in_child)
        _exit(1);
    abort();
}

#define REQUIRE(holds, ...)                                                                                            \
    do {                                                                                                               \
        if (!(holds))                                                                                                  \
            fail(__VA_ARGS__);                                                                                         \
    } while (0)

/* ---- what blocks hold -------------------------------------------------------------------------------------------- */

/* Long blocks are looked at at both ends, and at some places between. */
static size_t next_place(size_t at, size_t bytes) {
    if (bytes <= 1024 || at < 256 || at >= bytes - 256)
        return at + 1;
    size_t far = at + bytes / 16;
    return far < bytes - 256 ? far : bytes - 256;
}

static unsigned char pattern(const struct block *block, size_t at) {
    return (unsigned char)(block->seed + at * 7 + (at >> 8) * 13);
}

static void fill(struct block *block, unsigned slot) {
    block->seed = (unsigned char)(start.seed + slot * 37 + model.fills++ * 5);
    for (size_t at = 0; at < block->usable; at = next_place(at, block->usable))
        block->p[at] = pattern(block, at);
}

/* The bytes of a block as it was before, of which the first `bytes` are still there, at `p`. */
static void look_at(const struct block *block, const unsigned char *p, size_t bytes) {
    for (size_t at = 0; at < bytes; at = next_place(at, block->usable))
        REQUIRE(p[at] == pattern(block, at), "block [%d] of %zu bytes at %p: byte %zu has changed from %d to %d",
                (int)(block - blocks), block->bytes, (const void *)p, at, pattern(block, at), p[at]);
}

static void look(unsigned slot) {
    if (blocks[slot].p != NULL)
        look_at(&blocks[slot], blocks[slot].p, blocks[slot].usable);
}

static void all_bytes_are(const unsigned char *p, size_t bytes, unsigned char value, const char *what) {
    for (size_t at = 0; at < bytes; at = next_place(at, bytes))
        REQUIRE(p[at] == value, "%s: byte %zu of %zu at %p is %d", what, at, bytes, (const void *)p, p[at]);
}

static bool overlap(const struct block *a, const struct block *b) {
    return a->p != NULL && b->p != NULL && a->p < b->p + b->usable && b->p < a->p + a->usable;
}

static void lies_apart(unsigned slot) {
    for (unsigned i = 0; i < SLOTS; i++)
        REQUIRE(i == slot || !overlap(&blocks[slot], &blocks[i]),
                "[%u] at %p, %zu bytes, overlaps [%u] at %p, %zu bytes", slot, (void *)blocks[slot].p,
                blocks[slot].usable, i, (void *)blocks[i].p, blocks[i].usable);
}

/* ---- what a call may return -------------------------------------------------------------------------------------- */

static bool must_fail(size_t bytes, size_t align) {
    return bytes > PTRDIFF_MAX - UNIT || align > PTRDIFF_MAX - bytes;
}

/* Whether the input has made memory short; `refused` is the count before the call. */
static bool may_fail(size_t bytes, size_t align, unsigned refused) {
    return bytes + align >= CERTAIN || model.limited || start.address_space != SIZE_MAX ||
           sandbox_refused() != (model.several ? model.refused_before : refused);
}

static void is_refused(size_t bytes, size_t align, unsigned refused, int error) {
    REQUIRE(must_fail(bytes, align) || may_fail(bytes, align, refused), "memory is refused without need");
    REQUIRE(error == ENOMEM, "memory is refused, but errno is %d", error);
}

/* A slot gets a block. errno is what the call left. */
static void enter(unsigned slot, void *p, size_t bytes, size_t align, enum maker maker, int error) {
    struct block *block = &blocks[slot];
    REQUIRE(error == ERRNO_BEFORE, "the call succeeds, but errno is %d", error);
    REQUIRE(!must_fail(bytes, align), "%p for a request that cannot be met", p);
    align = align > 16 ? align : 16;
    REQUIRE((uintptr_t)p % align == 0, "%p is not aligned to %zu", p, align);
    size_t usable = malloc_usable_size(p);
    REQUIRE(usable >= bytes, "%zu usable bytes of %zu at %p", usable, bytes, p);
    REQUIRE(model.check || usable > 0, "no usable bytes at %p", p);
    REQUIRE(usable / 2 <= bytes + 2 * UNIT + align || model.limited || sandbox_refused() > 0 ||
                start.address_space != SIZE_MAX, /* then a block may stay where it was longer */
            "%zu usable bytes for %zu at %p", usable, bytes, p);
    *block = (struct block){p, bytes, usable, align, maker, 0};
    atomic_fetch_add(&model.live, usable);
    if (!model.several)
        lies_apart(slot);
    fill(block, slot);
    if (now->kind != CALL_BURST)
        show(" = %p, %zu usable", p, usable);
}

static bool too_much(size_t bytes) {
    return bytes >= MIB && bytes < 256 * MIB && model.live + bytes > LIVE_MOST;
}

/* ---- freeing ----------------------------------------------------------------------------------------------------- */

/* With the function that goes with the one that allocated; `variant` chooses where there are several. */
static void give_free(struct block *block, unsigned variant) {
    unsigned char *p = block->p;
    size_t bytes = block->bytes, align = block->align;
    switch (block->maker) {
    case BY_NEW:
        variant & 1 ? _ZdlPvm(p, bytes) : _ZdlPv(p);
        break;
    case BY_NEW_ARRAY:
        variant & 1 ? _ZdaPvm(p, bytes) : _ZdaPv(p);
        break;
    case BY_ALIGNED_NEW:
        variant & 1 ? _ZdlPvmSt11align_val_t(p, bytes, align) : _ZdlPvSt11align_val_t(p, align);
        break;
    case BY_ALIGNED_NEW_ARRAY:
        variant & 1 ? _ZdaPvmSt11align_val_t(p, bytes, align) : _ZdaPvSt11align_val_t(p, align);
        break;
    case BY_MALLOC:
        if (variant & 2)
            free_sized(p, bytes);
        else
            variant & 1 ? cfree(p) : free(p);
        break;
    case BY_ALIGNED_ALLOC:
        if (variant & 2)
            free_aligned_sized(p, align, bytes);
        else
            free(p);
        break;
    case BY_OTHER:
        variant & 1 ? cfree(p) : free(p);
    }
}

static void empty(unsigned slot, unsigned variant) {
    struct block *block = &blocks[slot];
    look(slot);
    atomic_fetch_sub(&model.live, block->usable);
    errno = ERRNO_BEFORE;
    if (block->p == NULL)
        free(NULL);
    else
        give_free(block, variant);
    REQUIRE(errno == ERRNO_BEFORE, "free changes errno to %d", errno);
    *block = (struct block){0};
}

/* ---- the statistics -----------------------------------------------------------------------------------------------
 */

static char text[THREADS][48 * KIB];

static size_t number(const char *json, const char *key) {
    char quoted[40];
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    const char *at = strstr(json, quoted);
    REQUIRE(at != NULL, "the statistics lack %s", quoted);
    return strtoull(at + strlen(quoted), NULL, 10);
}

static const char *statistics(void) {
    char *out = text[now ? now->thread : 0];
    size_t length = myalloc_stats_json(out, sizeof text[0]);
    REQUIRE(length < sizeof text[0] && strlen(out) == length, "statistics of %zu bytes", length);
    return out;
}

static size_t live_now(size_t *count) {
    const char *json = statistics();
    *count = number(json, "live_blocks");
    return number(json, "live");
}

/* libc may allocate within what is called between the two, which is not ours to predict. */
static void foreign_before(size_t *bytes, size_t *count) {
    if (!sandbox_closed && !model.several)
        *bytes = live_now(count);
}

static void foreign_after(size_t bytes, size_t count) {
    if (sandbox_closed || model.several)
        return;
    size_t live_blocks, live = live_now(&live_blocks);
    model.foreign += live - bytes;
    model.foreign_blocks += live_blocks - count;
}

/* ---- allocating -------------------------------------------------------------------------------------------------- */

static void is_filled(const unsigned char *p, size_t bytes) {
    if (start.perturb != 0 && model.perturb_known)
        all_bytes_are(p, bytes, (unsigned char)~start.perturb, "perturb");
}

static void call_malloc(unsigned slot, size_t bytes) {
    if (too_much(bytes))
        return;
    empty(slot, 0);
    unsigned refused = sandbox_refused();
    errno = ERRNO_BEFORE;
    unsigned char *p = malloc(bytes);
    int error = errno;
    if (p == NULL) {
        is_refused(bytes, 0, refused, error);
        return;
    }
    is_filled(p, bytes);
    enter(slot, p, bytes, 0, BY_MALLOC, error);
}

static void call_calloc(const struct call *call) {
    size_t count = decode_count(call), bytes;
    bool impossible = __builtin_mul_overflow(count, call->bytes, &bytes);
    if (impossible)
        bytes = SIZE_MAX;
    if (too_much(bytes))
        return;
    empty(call->slot, 0);
    unsigned refused = sandbox_refused();
    errno = ERRNO_BEFORE;
    unsigned char *p = calloc(count, call->bytes);
    int error = errno;
    if (p == NULL) {
        is_refused(bytes, 0, refused, error);
        return;
    }
    REQUIRE(!impossible, "%p for a product that overflows", (void *)p);
    all_bytes_are(p, bytes, 0, "calloc");
    enter(call->slot, p, bytes, 0, BY_MALLOC, error);
}

static void call_aligned(const struct call *call, size_t bytes, size_t align, enum maker maker) {
    unsigned refused = sandbox_refused();
    void *p = &p, *const untouched = p;
    int result = -1, error;
    errno = ERRNO_BEFORE;
    switch (call->kind) {
    case CALL_ALIGNED_ALLOC:
        p = aligned_alloc(align, bytes);
        break;
    case CALL_POSIX_MEMALIGN:
        result = posix_memalign(&p, align, bytes);
        REQUIRE(errno == (result == ENOMEM ? ENOMEM : ERRNO_BEFORE), "posix_memalign changes errno to %d", errno);
        REQUIRE((result == 0) == (p != untouched), "posix_memalign returns %d and leaves %p", result, p);
        break;
    case CALL_MEMALIGN:
        p = memalign(align, bytes);
        break;
    case CALL_VALLOC:
        p = valloc(bytes);
        break;
    default:
        p = pvalloc(bytes);
    }
    error = result <= 0 ? errno : result;
    p = result > 0 ? NULL : p;
    bool power = align != 0 && (align & (align - 1)) == 0;
    bool invalid = call->kind == CALL_ALIGNED_ALLOC    ? !power
                   : call->kind == CALL_POSIX_MEMALIGN ? !power || align % sizeof(void *) != 0
                   : call->kind == CALL_MEMALIGN       ? align > (size_t)1 << 63
                                                       : false;
    if (invalid) {
        REQUIRE(p == NULL && error == EINVAL, "%p and error %d for a bad alignment", p, error);
        return;
    }
    if (!power && align > 1) /* memalign(3): rounded up */
        align = (size_t)1 << (64 - __builtin_clzl(align - 1));
    if (call->kind == CALL_PVALLOC && bytes < PTRDIFF_MAX - UNIT)
        bytes = (bytes + 4095) & ~(size_t)4095;
    if (p == NULL)
        is_refused(bytes, align, refused, error);
    else
        enter(call->slot, p, bytes, align, maker, error);
}

static void call_new(const struct call *call) {
    static const char nothrow;
    bool array = call->extra & 0x40, aligned = call->extra & 0x80;
    size_t bytes = call->bytes, align = aligned ? decode_good_align(call) : 0;
    align = align < 16 && aligned ? 16 : align;
    size_t live, count;
    unsigned refused = sandbox_refused();
    if (bytes >= CERTAIN && model.several && !sandbox_closed)
        return;
    foreign_before(&live, &count); /* where it fails, the new-handler is looked for */
    errno = ERRNO_BEFORE;
    void *p = aligned ? (array ? _ZnamSt11align_val_tRKSt9nothrow_t : _ZnwmSt11align_val_tRKSt9nothrow_t)(bytes, align,
                                                                                                          &nothrow)
                      : (array ? _ZnamRKSt9nothrow_t : _ZnwmRKSt9nothrow_t)(bytes, &nothrow);
    int error = errno;
    if (p != NULL) {
        enter(call->slot, p, bytes, align, BY_NEW + array + 2 * aligned, error);
        return;
    }
    is_refused(bytes, align, refused, error);
    foreign_after(live, count);
}

/* reallocarray also, with a count. */
static void call_realloc(const struct call *call, size_t count) {
    struct block *block = &blocks[call->slot], old = *block;
    size_t bytes;
    bool impossible = __builtin_mul_overflow(count, call->bytes, &bytes);
    if (impossible)
        bytes = SIZE_MAX;
    if (block->maker >= BY_NEW || too_much(bytes))
        return;
    look(call->slot);
    unsigned refused = sandbox_refused();
    errno = ERRNO_BEFORE;
    unsigned char *p = call->kind == CALL_REALLOC ? realloc(old.p, bytes) : reallocarray(old.p, count, call->bytes);
    int error = errno;
    if (p == NULL && old.p != NULL && bytes == 0) {
        REQUIRE(error == ERRNO_BEFORE, "realloc to nothing changes errno to %d", error);
        atomic_fetch_sub(&model.live, old.usable);
        *block = (struct block){0};
    } else if (p == NULL) {
        is_refused(bytes, 0, refused, error);
        REQUIRE(old.p == NULL || bytes > old.usable, "shrinking from %zu bytes fails", old.usable);
        look(call->slot);
    } else {
        REQUIRE(old.p == NULL || bytes != 0, "realloc to nothing gives %p", (void *)p);
        look_at(block, p, old.p == NULL ? 0 : old.usable < bytes ? old.usable : bytes);
        atomic_fetch_sub(&model.live, old.usable);
        *block = (struct block){0};
        enter(call->slot, p, bytes, 0, BY_MALLOC, error);
    }
}

static void call_churn(size_t bytes, unsigned times) {
    if (too_much(bytes))
        return;
    for (unsigned i = 0; i < times; i++) {
        unsigned refused = sandbox_refused();
        unsigned char *p = malloc(bytes);
        if (p == NULL) {
            is_refused(bytes, 0, refused, errno);
            return;
        }
        if (bytes > 0)
            p[0] = p[bytes - 1] = (unsigned char)i;
        free(p);
    }
}

/* ---- the allocator asked about itself ---------------------------------------------------------------------------- */

/* Under the checks, what surrounds blocks and what is in quarantine is live too: also of libc's blocks, which are
 * counted with theirs in the open sandbox, and may go at any time. */
static bool live_agrees(size_t told, size_t counted) {
    return model.check ? told >= counted || !sandbox_closed : told == counted;
}

/* While nobody is in the allocator. */
static void sums_agree(void) {
    size_t bytes = model.foreign, count = model.foreign_blocks;
    for (unsigned i = 0; i < SLOTS; i++) {
        bytes += blocks[i].usable;
        count += blocks[i].p != NULL;
    }
    const char *json = statistics();
    size_t live = number(json, "live"), live_blocks = number(json, "live_blocks"), taken = number(json, "taken");
    size_t sum = live + number(json, "cached") + number(json, "free") + number(json, "metadata");
    REQUIRE(sum == taken, "live, cached, free and metadata are %zu bytes, taken %zu", sum, taken);
    REQUIRE(live_agrees(live, bytes) && live_agrees(live_blocks, count),
            "%zu bytes live in %zu blocks, the statistics tell %zu in %zu", bytes, count, live, live_blocks);
    REQUIRE(number(json, "peak") >= taken, "peak below taken");
    REQUIRE(!model.limit_known || taken <= start.limit, "%zu bytes taken, the limit is %zu", taken, start.limit);
}

/* What does not fit into an int is the largest. */
static bool is_cut(int number, size_t full) {
    return number == (full > INT_MAX ? INT_MAX : (int)full);
}

static void infos_agree(bool old) {
    struct mallinfo2 info = mallinfo2();
    size_t bytes = model.foreign;
    for (unsigned i = 0; i < SLOTS; i++)
        bytes += blocks[i].usable;
    if (old) {
        struct mallinfo ints = mallinfo();
        REQUIRE(is_cut(ints.uordblks, info.uordblks) && is_cut(ints.hblkhd, info.hblkhd) &&
                    is_cut(ints.arena, info.arena) && is_cut(ints.fordblks, info.fordblks),
                "mallinfo is not mallinfo2");
    }
    size_t live = info.uordblks + info.hblkhd;
    REQUIRE(live_agrees(live, bytes), "mallinfo2 tells %zu bytes, %zu live", live, bytes);
    REQUIRE(info.uordblks + info.fordblks == info.arena, "mallinfo2: the arena is not what is used and free");
}

/* Any room: the text is cut, its length told in full. */
static void call_json(const struct call *call) {
    char *out = text[call->thread];
    size_t room = call->extra & 1 ? sizeof text[0] : call->number % 4096;
    memset(out, 'x', room + 1);
    size_t length = myalloc_stats_json(room > 0 ? out : NULL, room);
    REQUIRE(room == 0 || memchr(out, '\0', room) == out + (length < room ? length : room - 1),
            "statistics of %zu bytes in %zu", length, room);
    REQUIRE(room >= sizeof text[0] || out[room] == 'x', "statistics beyond their room of %zu", room);
}

static void call_info(bool stats) {
    static FILE *null;
    size_t bytes, count;
    if (model.several && !sandbox_closed)
        return;
    foreign_before(&bytes, &count);
    if (null == NULL)
        null = fopen("/dev/null", "w");
    if (!stats) {
        REQUIRE(malloc_info(0, null) == 0, "malloc_info");
        REQUIRE(malloc_info(1, null) == EINVAL, "malloc_info with options");
    } else if (sandbox_closed) { /* to standard error */
        malloc_stats();
    }
    foreign_after(bytes, count);
}

static void call_mallopt(const struct call *call) {
    struct option option = decode_option(call);
    errno = ERRNO_BEFORE;
    unsigned refused = sandbox_refused();
    int result = mallopt(option.parameter, option.value);
    if (result == 0 && sandbox_refused() != refused) /* the tunables could not be made writable */
        return;
    REQUIRE(result == option.good, "mallopt returns %d", result);
    REQUIRE(errno == ERRNO_BEFORE, "mallopt changes errno to %d", errno);
    if (option.parameter == M_PERTURB)
        model.perturb_known = false;
    if (option.parameter == M_MYALLOC_LIMIT_MIB && option.good) {
        model.limited = true;
        model.limit_known = false;
    }
}

static void call_mcheck(const struct call *call) {
    struct block *block = &blocks[call->slot];
    size_t bytes, count;
    if (call->extra % 8 == 1) {
        if (model.several) /* what is checked from now on must be known to all */
            return;
        foreign_before(&bytes, &count);
        REQUIRE(mcheck(NULL) == 0, "mcheck");
        foreign_after(bytes, count);
        model.check = true;
    } else if (call->extra % 8 == 2) {
        mcheck_check_all();
    } else if (block->p != NULL) {
        enum mcheck_status status = mprobe(block->p);
        REQUIRE(status == MCHECK_DISABLED ? !start.check : status == MCHECK_OK && model.check, "mprobe tells %d",
                status);
    }
}

/* The first one loads the unwinder. */
static void call_mtrace(bool stop) {
    size_t bytes, count;
    if (model.several && !sandbox_closed)
        return;
    foreign_before(&bytes, &count);
    if (stop)
        muntrace();
    else
        mtrace();
    foreign_after(bytes, count);
}

/* ---- misuse ------------------------------------------------------------------------------------------------------ */

/* A pointer that is known to be recognised as bad; NULL if the slot gives none. */
static void *bad_pointer(const struct block *block, unsigned kind) {
    static char somewhere[64] __attribute__((aligned(64)));
    switch (kind) {
    case 0:
        return block->p ? block->p + 8 : NULL;
    case 1:
        return block->p != NULL && block->usable > 3 * UNIT ? block->p + 2 * UNIT : NULL;
    case 2:
        return somewhere + 16;
    case 3:
        return (void *)16;
    case 4:
        return (void *)(((uintptr_t)1 << 47) - 4096);
    default:
        return (void *)(((uintptr_t)1 << 63) + 4096);
    }
}

/* Bad calls that are reported, or not even that, have no effect. */
static void call_misuse(const struct call *call) {
    void *bad = bad_pointer(&blocks[call->slot], call->extra % 6);
    if (start.action < 0 || bad == NULL)
        return;
    if (call->extra / 6 % 3 == 0)
        free(bad);
    else if (call->extra / 6 % 3 == 1)
        REQUIRE(realloc(bad, 100) == NULL, "realloc of %p gives a block", bad);
    else
        REQUIRE(malloc_usable_size(bad) == 0, "%p has usable bytes", bad);
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

static bool is_mine(unsigned slot) {
    return !model.several || owner[slot] == (int)now->thread;
}

static void live_as_child(void) {
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    alarm(20);
    in_child = true;
    for (unsigned i = 0; i < SLOTS; i++)
        if (is_mine(i))
            look(i);
        else /* its thread is gone, and what it held then is not known */
            blocks[i] = (struct block){0};
    bool scarce = model.limited || start.address_space != SIZE_MAX || sandbox_refused() > 0;
    if (sandbox_closed && !model.several && !scarce) /* else lists of the other threads may be lost (central_adopt) */
        sums_agree();
    model.several = false;
    for (unsigned i = 0; i < SLOTS; i += 2) {
        size_t bytes = blocks[i].bytes;
        empty(i, i);
        call_malloc(i, bytes);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        look(i);
    for (unsigned i = 0; i < 40; i++)
        call_churn(i * i * 20, 2);
    REQUIRE(myalloc_check_heap() == 0, "the heap is broken");
    _exit(0);
}

static void call_fork(void) {
    size_t bytes, count;
    if (model.forks++ >= FORKS_MOST)
        return;
    foreign_before(&bytes, &count);
    pid_t child = fork();
    REQUIRE(child >= 0, "fork: %s", strerror(errno));
    if (child == 0)
        live_as_child();
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0, "the child ends with status %x", (unsigned)status);
    foreign_after(bytes, count);
}

/* ---- one call ---------------------------------------------------------------------------------------------------- */

static void make(const struct call *call) {
    unsigned slot = call->slot, end = slot + decode_slots(call), extra = call->extra;
    struct block *block = &blocks[slot];
    switch (call->kind) {
    case CALL_MALLOC:
        call_malloc(slot, call->bytes);
        break;
    case CALL_CALLOC:
        call_calloc(call);
        break;
    case CALL_REALLOC:
        call_realloc(call, 1);
        break;
    case CALL_REALLOCARRAY:
        call_realloc(call, decode_count(call));
        break;
    case CALL_FREE:
        empty(slot, extra & 1);
        break;
    case CALL_FREE_SIZED:
        empty(slot, extra | 2);
        break;
    case CALL_ALIGNED_ALLOC:
    case CALL_POSIX_MEMALIGN:
    case CALL_MEMALIGN:
    case CALL_VALLOC:
    case CALL_PVALLOC: {
        bool page = call->kind == CALL_VALLOC || call->kind == CALL_PVALLOC;
        if (too_much(call->bytes))
            break;
        empty(slot, extra);
        call_aligned(call, call->bytes, page ? 4096 : decode_align(call),
                     call->kind == CALL_ALIGNED_ALLOC ? BY_ALIGNED_ALLOC : BY_OTHER);
        break;
    }
    case CALL_NEW:
        if (too_much(call->bytes))
            break;
        empty(slot, extra);
        call_new(call);
        break;
    case CALL_USABLE: {
        size_t usable = malloc_usable_size(block->p);
        REQUIRE(usable == block->usable, "%zu usable bytes, %zu before", usable, block->usable);
        break;
    }
    case CALL_MALLOPT:
        call_mallopt(call);
        break;
    case CALL_TRIM: {
        int result = malloc_trim(call->bytes);
        REQUIRE(result == 0 || result == 1, "malloc_trim returns %d", result);
        break;
    }
    case CALL_MALLINFO:
        if (!model.several)
            infos_agree(extra & 1);
        else
            (void)mallinfo2();
        break;
    case CALL_CHECK_HEAP:
        REQUIRE(myalloc_check_heap() == 0, "the heap is broken");
        break;
    case CALL_JSON:
        if (!model.several)
            sums_agree();
        call_json(call);
        break;
    case CALL_INFO:
        call_info(extra & 1);
        break;
    case CALL_FORK:
        call_fork();
        break;
    case CALL_REFUSE:
        sandbox_refuse(slot % 16, extra % 8 + 1);
        break;
    case CALL_CLOCK:
        sandbox_clock_forward(call->number % 3000);
        break;
    case CALL_SBRK:
        sandbox_foreign_sbrk((intptr_t)(call->number % 20000 + 1));
        break;
    case CALL_MISUSE:
        call_misuse(call);
        break;
    case CALL_BURST:
        for (unsigned i = slot; i < end; i++)
            if (is_mine(i))
                call_malloc(i, call->bytes);
        break;
    case CALL_FREE_RANGE:
        for (unsigned i = slot; i < end; i++) {
            unsigned which = call->number & 1 ? end - 1 - (i - slot) : i;
            if (is_mine(which))
                empty(which, extra);
        }
        break;
    case CALL_LOOK:
        for (unsigned i = 0; i < SLOTS; i++)
            if (is_mine(i))
                look(i);
        break;
    case CALL_MTRACE:
        call_mtrace(extra & 1);
        break;
    case CALL_MCHECK:
        call_mcheck(call);
        break;
    case CALL_CHURN:
        call_churn(call->bytes, decode_times(call));
        break;
    case CALL_THREAD_END:
    case CALL_BARRIER:
    case CALL_KINDS:
        break;
    }
}

/* What is written to standard error is asked for, or a fault. */
static void nothing_said(const struct call *call) {
    const char *said;
    unsigned lines = sandbox_lines(&said);
    bool stats = call != NULL && call->kind == CALL_INFO && (call->extra & 1);
    bool misuse = call != NULL && call->kind == CALL_MISUSE && start.action == 1;
    REQUIRE(lines == 0 || stats || misuse, "the allocator says: %s", said);
}

static void make_shown(const struct call *call) {
    char shown[256];
    now = call;
    if (is_mine(call->slot)) {
        show("%4zu %s", (size_t)(call - calls), calls_shown ? decode_show(call, shown, sizeof shown) : "");
        make(call);
        show("\n");
        if (!model.several)
            nothing_said(call);
    }
    now = NULL;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static struct worker {
    pthread_t id;
    sem_t go, done;
    bool alive;
    void (*job)(struct worker *worker); /* NULL: the thread ends */
    size_t count, indices[CALLS_MOST];
} workers[THREADS];

static void *work(void *data) {
    struct worker *worker = data;
    for (;;) {
        while (sem_wait(&worker->go) != 0)
            continue;
        if (worker->job == NULL)
            return NULL;
        worker->job(worker);
        sem_post(&worker->done);
    }
}

static void make_listed(struct worker *worker) {
    for (size_t i = 0; i < worker->count; i++)
        make_shown(&calls[worker->indices[i]]);
}

/* The one who directs allocates nothing itself, but libc does so for a thread. */
static void awaken(struct worker *worker) {
    size_t bytes, count;
    if (worker->alive)
        return;
    if (worker != &workers[0])
        sandbox_threaded(true);
    foreign_before(&bytes, &count);
    sem_init(&worker->go, 0, 0);
    sem_init(&worker->done, 0, 0);
    REQUIRE(pthread_create(&worker->id, NULL, work, worker) == 0, "pthread_create");
    foreign_after(bytes, count);
    worker->alive = true;
}

static void begin_job(struct worker *worker, void (*job)(struct worker *)) {
    awaken(worker);
    worker->job = job;
    sem_post(&worker->go);
}

static void await(struct worker *worker) {
    while (sem_wait(&worker->done) != 0)
        continue;
}

static void end_thread(struct worker *worker) {
    size_t bytes, count;
    if (!worker->alive)
        return;
    foreign_before(&bytes, &count);
    worker->job = NULL;
    sem_post(&worker->go);
    pthread_join(worker->id, NULL);
    worker->alive = false;
    foreign_after(bytes, count);
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static void first(struct worker *worker) {
    (void)worker;
    sandbox_start();
    if (start.action >= 0)
        REQUIRE(mallopt(M_CHECK_ACTION, start.action) == 1, "mallopt(M_CHECK_ACTION, %d)", start.action);
    if (!sandbox_closed)
        model.foreign = live_now(&model.foreign_blocks);
}

static void last(struct worker *worker) {
    (void)worker;
    for (unsigned i = 0; i < SLOTS; i++)
        if (start.leave)
            look(i);
        else
            empty(i, i);
    sums_agree();
    if (!sandbox_closed) /* else done at exit */
        REQUIRE(myalloc_check_heap() == 0, "the heap is broken");
    nothing_said(NULL);
    sandbox_exit(!start.leaks); /* the report of leaks would look through the memory of the fuzzer */
    const char *said;
    unsigned lines = sandbox_lines(&said);
    REQUIRE(lines == 0 || strstr(start.options, "stats") != NULL, "the allocator says at its end: %s", said);
}

/* Runs of calls by one thread, each after the other. Returns where the run ends. */
static size_t run_in_turn(size_t at) {
    struct worker *worker = &workers[calls[at].thread];
    worker->count = 0;
    for (; at < call_count && calls[at].thread == (unsigned)(worker - workers) && calls[at].kind != CALL_THREAD_END;
         at++)
        worker->indices[worker->count++] = at;
    begin_job(worker, make_listed);
    await(worker);
    return at;
}

/* To the next barrier or end of a thread: who first names a slot has it until then, and makes all calls that name it.
 */
static size_t run_together(size_t at) {
    for (unsigned i = 0; i < SLOTS; i++)
        owner[i] = -1;
    for (unsigned i = 0; i < THREADS; i++)
        workers[i].count = 0;
    for (; at < call_count && calls[at].kind != CALL_BARRIER && calls[at].kind != CALL_THREAD_END; at++) {
        struct call *call = &calls[at];
        for (unsigned i = call->slot; i < call->slot + decode_slots(call); i++)
            owner[i] = owner[i] < 0 ? (int)call->thread : owner[i];
        call->thread = (unsigned)owner[call->slot];
        workers[call->thread].indices[workers[call->thread].count++] = at;
    }
    model.refused_before = sandbox_refused();
    for (unsigned i = 0; i < THREADS; i++)
        if (workers[i].count > 0)
            awaken(&workers[i]);
    model.several = true;
    for (unsigned i = 0; i < THREADS; i++)
        if (workers[i].count > 0)
            begin_job(&workers[i], make_listed);
    for (unsigned i = 0; i < THREADS; i++)
        if (workers[i].count > 0)
            await(&workers[i]);
    model.several = false;
    for (unsigned i = 0; i < SLOTS; i++)
        lies_apart(i);
    const char *said;
    unsigned lines = sandbox_lines(&said);
    REQUIRE(lines == 0 || start.action == 1 || strncmp(said, "myalloc:", 8) != 0, "the allocator says: %s", said);
    return at;
}

static void run(void) {
    char shown[256];
    show("     %s\n", decode_show_start(&start, shown, sizeof shown));
    for (size_t at = 0; at < call_count;) {
        if (calls[at].kind == CALL_THREAD_END && calls[at].thread != 0)
            end_thread(&workers[calls[at].thread]);
        if (calls[at].kind == CALL_THREAD_END || (start.parallel && calls[at].kind == CALL_BARRIER))
            at++;
        else
            at = start.parallel ? run_together(at) : run_in_turn(at);
    }
}

void calls_run(const uint8_t *data, size_t size) {
    static char variable[128];
    static char *environment[] = {variable, "MALLOC_TRACE=/dev/null", NULL};
    call_count = decode(data, size, &start, calls);
    memset(blocks, 0, sizeof blocks);
    memset(&model, 0, sizeof model);
    model.check = start.check;
    model.perturb_known = true;
    model.limited = start.limit != SIZE_MAX;
    model.limit_known = model.limited;
    snprintf(variable, sizeof variable, "MYALLOC_OPTIONS=%s", start.options);
    sandbox_begin(environment, start.address_space);
    begin_job(&workers[0], first);
    await(&workers[0]);
    run();
    for (unsigned i = THREADS - 1; i > 0; i--)
        end_thread(&workers[i]);
    begin_job(&workers[0], last);
    await(&workers[0]);
    end_thread(&workers[0]);
    sandbox_end();
}
