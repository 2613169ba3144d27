/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=300 */
/* What each entry point answers to sizes and alignments that cannot be, as glibc's manual and its malloc have it: a table of
 * calls with the errno, at every level of protection. A call that fails changes nothing, and errno stays where it succeeds. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "tap.h"

#define TOP ((size_t)1 << 63)
#define HALF ((size_t)PTRDIFF_MAX)

/* operator new and delete with an alignment, and those that do not throw: there is no C++ runtime in this program. */
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t bytes, size_t align, const void *tag) __attribute__((weak));
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t bytes, size_t align, const void *tag) __attribute__((weak));
void *_ZnwmRKSt9nothrow_t(size_t bytes, const void *tag) __attribute__((weak));

enum call { MALLOC, CALLOC, REALLOC, REALLOCARRAY, ALIGNED, MEMALIGN, POSIX, VALLOC, PVALLOC, NEW, NEW_ALIGNED, NEW_ARRAY };
static const char *const names[] = {"malloc", "calloc", "realloc", "reallocarray", "aligned_alloc", "memalign",
                                    "posix_memalign",
                                    "valloc", "pvalloc", "new", "aligned new", "aligned new[]"};

struct row {
    enum call call;
    size_t first, second; /* alignment or count, and size; realloc and malloc have the size only */
    int error;            /* 0: succeeds */
};

static const struct row rows[] = {
    {MALLOC, 0, 0, 0},
    {MALLOC, 0, HALF, ENOMEM},
    {MALLOC, 0, TOP, ENOMEM},
    {MALLOC, 0, SIZE_MAX, ENOMEM},
    {MALLOC, 0, SIZE_MAX - 15, ENOMEM},
    {CALLOC, 0, 0, 0},
    {CALLOC, SIZE_MAX, 0, 0},
    {CALLOC, 1, TOP, ENOMEM},
    {CALLOC, SIZE_MAX, 2, ENOMEM},
    {CALLOC, (size_t)1 << 32, ((size_t)1 << 32) + 1, ENOMEM},
    {REALLOC, 0, HALF, ENOMEM},
    {REALLOC, 0, TOP, ENOMEM},
    {REALLOC, 0, SIZE_MAX, ENOMEM},
    {REALLOCARRAY, SIZE_MAX, 2, ENOMEM},
    {REALLOCARRAY, (size_t)1 << 32, ((size_t)1 << 32) + 1, ENOMEM},
    {REALLOCARRAY, 3, 40, 0},
    {ALIGNED, 0, 100, EINVAL},
    {ALIGNED, 3, 100, EINVAL},
    {ALIGNED, 48, 100, EINVAL},
    {ALIGNED, SIZE_MAX, 100, EINVAL},
    {ALIGNED, TOP + 1, 100, EINVAL},
    {ALIGNED, 1, 100, 0},
    {ALIGNED, 8, 100, 0},
    {ALIGNED, 64, 0, 0},
    {ALIGNED, 64, 100, 0},
    {ALIGNED, 1 << 20, 100, 0},
    {ALIGNED, (size_t)1 << 62, 100, ENOMEM},
    {ALIGNED, TOP, 1, ENOMEM},
    {ALIGNED, TOP, SIZE_MAX, ENOMEM},
    {ALIGNED, 64, SIZE_MAX - 63, ENOMEM},
    {ALIGNED, 4096, HALF, ENOMEM},
    {MEMALIGN, 0, 100, 0},
    {MEMALIGN, 3, 100, 0},
    {MEMALIGN, 48, 100, 0},
    {MEMALIGN, 5000, 100, 0},
    {MEMALIGN, (size_t)1 << 40 | 1, SIZE_MAX, ENOMEM},
    {MEMALIGN, (size_t)1 << 61, 1, ENOMEM},
    {MEMALIGN, (size_t)1 << 62, 1, ENOMEM},
    {MEMALIGN, ((size_t)1 << 62) + 1, 1, ENOMEM},
    {MEMALIGN, TOP - 1, 1, ENOMEM},
    {MEMALIGN, TOP, 1, ENOMEM},
    {MEMALIGN, TOP, 1 << 20, ENOMEM},
    {MEMALIGN, TOP, SIZE_MAX - 100, ENOMEM},
    {MEMALIGN, TOP + 1, 1, EINVAL},
    {MEMALIGN, SIZE_MAX, 1, EINVAL},
    {MEMALIGN, 64, SIZE_MAX, ENOMEM},
    {POSIX, 0, 100, EINVAL},
    {POSIX, 1, 100, EINVAL},
    {POSIX, 4, 100, EINVAL},
    {POSIX, 12, 100, EINVAL},
    {POSIX, 24, 100, EINVAL},
    {POSIX, SIZE_MAX, 100, EINVAL},
    {POSIX, 8, 100, 0},
    {POSIX, 16, 0, 0},
    {POSIX, 4096, 100, 0},
    {POSIX, 64, SIZE_MAX, ENOMEM},
    {POSIX, (size_t)1 << 62, 1, ENOMEM},
    {POSIX, TOP, 1, ENOMEM},
    {VALLOC, 0, 0, 0},
    {VALLOC, 0, 100, 0},
    {VALLOC, 0, HALF, ENOMEM},
    {VALLOC, 0, SIZE_MAX - 4094, ENOMEM},
    {VALLOC, 0, SIZE_MAX, ENOMEM},
    {PVALLOC, 0, 0, 0},
    {PVALLOC, 0, 100, 0},
    {PVALLOC, 0, HALF - 4095, ENOMEM},
    {PVALLOC, 0, SIZE_MAX - 4095, ENOMEM},
    {PVALLOC, 0, SIZE_MAX - 4094, ENOMEM},
    {PVALLOC, 0, SIZE_MAX, ENOMEM},
    {NEW, 0, SIZE_MAX, ENOMEM},
    {NEW, 0, HALF, ENOMEM},
    {NEW_ALIGNED, 48, 100, ENOMEM},
    {NEW_ALIGNED, 64, 100, 0},
    {NEW_ALIGNED, TOP, 1, ENOMEM},
    {NEW_ALIGNED, 64, SIZE_MAX, ENOMEM},
    {NEW_ARRAY, 3, 100, ENOMEM},
    {NEW_ARRAY, 4096, 100, 0},
    {NEW_ARRAY, TOP, SIZE_MAX, ENOMEM},
};
enum { ROWS = sizeof rows / sizeof *rows, UNTOUCHED = 5 };

static void *old;

/* The error that a posix_memalign returns is put where others leave theirs, if it left errno alone or set it to that. */
static void *posix(size_t align, size_t bytes) {
    static char nothing;
    void *p = &nothing;
    int error = posix_memalign(&p, align, bytes);
    if (errno != UNTOUCHED && errno != error)
        errno = -1;
    else if (error != 0)
        errno = error;
    return error == 0 ? p : p == &nothing ? NULL : &nothing;
}

static void *make(const struct row *row) {
    volatile size_t first = row->first, second = row->second; /* out of the compiler's sight, which refuses such numbers */
    switch (row->call) {
    case MALLOC: return malloc(second);
    case CALLOC: return calloc(first, second);
    case REALLOC: return realloc(old, second);
    case REALLOCARRAY: return reallocarray(old, first, second);
    case ALIGNED: return aligned_alloc(first, second);
    case MEMALIGN: return memalign(first, second);
    case POSIX: return posix(first, second);
    case VALLOC: return valloc(second);
    case PVALLOC: return pvalloc(second);
    case NEW: return _ZnwmRKSt9nothrow_t(second, NULL);
    case NEW_ALIGNED: return _ZnwmSt11align_val_tRKSt9nothrow_t(second, first, NULL);
    case NEW_ARRAY: return _ZnamSt11align_val_tRKSt9nothrow_t(second, first, NULL);
    }
    return NULL;
}

/* What is given back must be freed by the call's own family, which this table is not about: it stays. */
static bool holds(const struct row *row) {
    static volatile char *text;
    bool cxx = row->call >= NEW;
    if (cxx && _ZnwmRKSt9nothrow_t == NULL)
        return true;
    text = old = malloc(24);
    text[23] = 'x';
    errno = UNTOUCHED;
    void *p = make(row);
    int error = errno;
    bool aligned = row->call == VALLOC || row->call == PVALLOC ? (uintptr_t)p % 4096 == 0
                   : row->call >= ALIGNED && row->first != 0 && (row->first & (row->first - 1)) == 0
                       ? (uintptr_t)p % row->first == 0
                       : (uintptr_t)p % 8 == 0;
    bool right = row->error == 0 ? p != NULL && error == UNTOUCHED && aligned
                                 : p == NULL && error == row->error && text[23] == 'x';
    if (!right)
        printf("# %s(%zx, %zx): %p, %s\n", names[row->call], row->first, row->second, p, strerror(error));
    if (p != NULL && (row->call == REALLOC || row->call == REALLOCARRAY))
        old = p;
    else if (p != NULL && !cxx)
        free(p);
    free(old);
    return right;
}

int main(int argc, char **argv) {
    static const char *const levels[] = {"protect:off", "protect:sample,sample_interval:1", "check:1", "check:2",
                                          "protect:check",
                                         "protect:paranoid", "protect:paranoid,sample_interval:1", "perturb:7"};
    enum { LEVELS = sizeof levels / sizeof *levels };
    if (argc > 1) {
        int wrong = 0;
        for (size_t i = 0; i < ROWS; i++)
            wrong += !holds(&rows[i]);
        return wrong != 0;
    }
    tap_watchdog(90);
    for (size_t i = 0; i < LEVELS; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            setenv("MYALLOC_OPTIONS", levels[i], 1);
            execl("/proc/self/exe", argv[0], "x", NULL);
            _exit(3);
        }
        waitpid(child, &status, 0);
        tap(status == 0, "%d calls with %s come to what glibc says", (int)ROWS, levels[i]);
    }
    return tap_done();
}
