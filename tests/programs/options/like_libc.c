/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What the C library's malloc answers, to be compared with what myalloc does: like_libc mallopt|calls. `mallopt` prints the
 * result of each parameter with each value, `calls` for each function that gets memory with each pair of arguments whether
 * there is a block, the number that is returned, and what has become of errno. */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PARAMETERS_MOST 20
#define ERRNO_BEFORE 4711

static int answer_mallopt(void) {
    static const int values[] = {INT_MIN, -65536, -2, -1, 0, 1, 2, 3, 4, 160, 161, 255, 256, 4096, 65536, 1 << 26, INT_MAX};
    for (int parameter = -PARAMETERS_MOST; parameter <= PARAMETERS_MOST; parameter++)
        for (size_t i = 0; i < COUNT(values); i++) {
            errno = ERRNO_BEFORE;
            int result = mallopt(parameter, values[i]);
            printf("mallopt(%d, %d) = %d, errno %s\n", parameter, values[i], result,
                   errno == ERRNO_BEFORE ? "stays" : "changes");
        }
    return 0;
}

/* ---- calls -------------------------------------------------------------------------------------------------------- */

static void *call_malloc(size_t a, size_t b) {
    (void)a;
    return malloc(b);
}

static void *call_realloc(size_t a, size_t b) {
    void *p = malloc(a % 1024 + 1), *q = realloc(p, b);
    if (q == NULL && b != 0) /* the block has stayed */
        memset(p, 1, a % 1024 + 1);
    return q;
}

static void *call_reallocarray(size_t a, size_t b) {
    return reallocarray(NULL, a, b);
}

static void *call_reallocarray_of_a_block(size_t a, size_t b) {
    return reallocarray(malloc(1), a, b);
}

static void *call_valloc(size_t a, size_t b) {
    (void)a;
    return valloc(b);
}

static void *call_pvalloc(size_t a, size_t b) {
    (void)a;
    return pvalloc(b);
}

static int number;

static void *call_posix_memalign(size_t a, size_t b) {
    static char untouched;
    void *p = &untouched;
    number = posix_memalign(&p, a, b);
    return p == &untouched ? NULL : p;
}

static void *call_posix_memalign_full(size_t a, size_t b) {
    return call_posix_memalign(sizeof(void *) << a % 12, b);
}

static const struct {
    const char *name;
    void *(*call)(size_t, size_t);
} calls[] = {
    {"malloc", call_malloc},
    {"calloc", calloc},
    {"realloc", call_realloc},
    {"reallocarray", call_reallocarray},
    {"reallocarray of a block", call_reallocarray_of_a_block},
    {"memalign", memalign},
    {"aligned_alloc", aligned_alloc},
    {"posix_memalign", call_posix_memalign},
    {"posix_memalign with a good alignment", call_posix_memalign_full},
    {"valloc", call_valloc},
    {"pvalloc", call_pvalloc},
};

static const char *named(int error) {
    return error == ERRNO_BEFORE ? "as before" : error == ENOMEM ? "ENOMEM" : error == EINVAL ? "EINVAL" : strerror(error);
}

/* True where it is the machine's memory, or its way to count it, that decides whether so much is to be had. */
static bool may_be_there(size_t a, size_t b) {
    size_t product;
    return !__builtin_mul_overflow(a, b, &product) && product >= (size_t)1 << 30 && product < (size_t)1 << 47;
}

/* The numbers lie at the ends of what can be had: 1 << 47 is more than the addresses of a program, PTRDIFF_MAX the largest
 * size. */
static int answer_calls(void) {
    static const size_t numbers[] = {0, 1, 2, 3, 8, 16, 24, 4096, 4097, 1 << 20, (size_t)1 << 47, (size_t)1 << 62,
                                     PTRDIFF_MAX - 4096, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX + 2,
                                     SIZE_MAX - 8192, SIZE_MAX - 4095, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX};
    for (size_t c = 0; c < COUNT(calls); c++)
        for (size_t i = 0; i < COUNT(numbers); i++)
            for (size_t j = 0; j < COUNT(numbers); j++) {
                if (may_be_there(numbers[i], numbers[j]))
                    continue;
                number = 0;
                errno = ERRNO_BEFORE;
                void *p = calls[c].call(numbers[i], numbers[j]);
                int error = errno;
                printf("%s(%zx, %zx): %s, %s, errno %s\n", calls[c].name, numbers[i], numbers[j], p ? "block" : "NULL",
                       named(number), named(error));
                free(p);
            }
    return 0;
}

int main(int argc, char **argv) {
    return argc != 2 ? 2 : strcmp(argv[1], "mallopt") == 0 ? answer_mallopt() : answer_calls();
}
