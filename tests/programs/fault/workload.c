/* SPDX-License-Identifier: MIT */
/* run: helper */
/*
 * Uses all of the allocator while the OS refuses calls: a failure must be NULL with ENOMEM, leave the old block as it was,
 * and not stop later requests. Prints one line that says how many requests failed; exit status 1 if anything was wrong.
 * `workload more` asks for other things first, `fork` forks, `misuse` ends with a block freed twice, `locked` locks its memory
 * as it comes, as far as it may.
 */
#include <errno.h>
#include <malloc.h>
#include <mcheck.h>
#include <pthread.h>
#include <sys/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/options/json.h"
#include "tap.h"

static _Atomic int failed, wrong;

static void expect(int condition, const char *what) {
    if (!condition) {
        wrong++;
        fprintf(stderr, "workload: %s\n", what);
    }
}

static void *checked(void *p) {
    if (p == NULL) {
        failed++;
        expect(errno == ENOMEM, "a failure sets ENOMEM");
    }
    errno = 0;
    return p;
}

static int holds(const unsigned char *p, size_t bytes, unsigned char value) {
    return bytes == 0 || (p[0] == value && p[bytes / 2] == value && p[bytes - 1] == value);
}

/* Writes what `holds` looks at, and of a block that is not large all: pages cost more time than calls. */
static void fill(unsigned char *p, size_t bytes, unsigned char value) {
    enum { WHOLE = 200000 };
    memset(p, value, bytes < WHOLE ? bytes : WHOLE);
    if (bytes > 0)
        p[bytes / 2] = p[bytes - 1] = value;
}

static void small_blocks(void) {
    enum { COUNT = 3000 };
    static __thread unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t bytes = i * 17 % 3000 + 1;
        blocks[i] = checked(i % 3 ? malloc(bytes) : calloc(1, bytes));
        if (blocks[i] != NULL)
            memset(blocks[i], (int)i, bytes);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t bytes = i * 17 % 3000 + 1;
        if (blocks[i] != NULL)
            expect(holds(blocks[i], bytes, (unsigned char)i), "small blocks keep their contents");
        free(blocks[i]);
    }
}

static void growing(void) {
    unsigned char *p = NULL;
    size_t have = 0;
    for (size_t n = 10; n < 12000000; n = n * 3 / 2) {
        unsigned char *moved = checked(realloc(p, n));
        if (moved == NULL) {
            expect(p == NULL || holds(p, have, 7), "a failed realloc leaves the block as it was");
            continue;
        }
        expect(have == 0 || holds(moved, have, 7), "realloc keeps the contents");
        p = moved;
        fill(p, n, 7);
        have = n;
    }
    for (; have > 100; have = have / 3) {
        fill(p, have, 7);
        unsigned char *shrunk = realloc(p, have);
        expect(shrunk != NULL, "shrinking needs no memory, so it cannot fail");
        p = shrunk != NULL ? shrunk : p;
        expect(holds(p, have, 7), "shrinking keeps the contents");
    }
    free(p);
}

static void large_blocks(void) {
    static const size_t sizes[] = {33000, 70000, 130000, 200000, 1000000, 5000000, 40000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = checked(malloc(sizes[i])), *q = checked(calloc(sizes[i], 1));
        if (p != NULL)
            fill(p, sizes[i], 9);
        if (q != NULL)
            expect(holds(q, sizes[i], 0), "calloc gives zeros");
        if (sizes[i] == 5000000) /* with `limit` more than is left, and more than is taken: would the OS give it? */
            free(checked(malloc(60000000)));
        free(p);
        p = checked(malloc(sizes[i]));
        free(q);
        free(p);
    }
}

static void aligned_blocks(void) {
    for (size_t align = 32; align <= (size_t)1 << 21; align *= 4) {
        void *p = checked(aligned_alloc(align, 100)), *q = (void *)1;
        errno = 3;
        int error = posix_memalign(&q, align, 50000);
        expect(errno == (error == ENOMEM ? ENOMEM : 3), "posix_memalign leaves errno as glibc's does");
        expect(error ? error == ENOMEM && q == (void *)1 : q != (void *)1, "posix_memalign reports by its result");
        failed += error != 0;
        free(p);
        free(error ? NULL : q);
    }
}

static void *everything(void *data) {
    small_blocks();
    growing();
    large_blocks();
    aligned_blocks();
    return data;
}

/* What asks the OS outside of allocation. */
static void more(void) {
    mcheck(NULL);
    mallopt(M_PERTURB, 7);
    malloc_stats();
    mtrace();
    free(checked(malloc(100)));
    muntrace();
    enum { COUNT = 600, BYTES = 100000 }; /* a heap so large that it grows by huge pages */
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++)
        blocks[i] = checked(malloc(BYTES));
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
}

/* A child has blocks of its parent's, and takes some of its own. */
static void in_a_child(void) {
    void *before = checked(malloc(70000));
    pid_t child = fork();
    if (child == 0) {
        free(before);
        everything(NULL);
        exit(wrong != 0);
    }
    int status = 0;
    expect(child > 0 && waitpid(child, &status, 0) == child && status == 0, "a child goes on");
    free(before);
}

static void freed_twice(void) {
    void *volatile p = checked(malloc(100)), *volatile again = p;
    free(p);
    free(again);
}

int main(int argc, char **argv) {
    const char *besides = argc > 1 ? argv[1] : "";
    tap_alarm(60);
    if (strcmp(besides, "more") == 0)
        more();
    if (strcmp(besides, "locked") == 0 && mlockall(MCL_FUTURE) != 0)
        perror("# mlockall");
    everything(NULL);
    if (strcmp(besides, "fork") == 0)
        in_a_child();
    if (strcmp(besides, "misuse") == 0)
        freed_twice();
    pthread_t id;
    if (pthread_create(&id, NULL, everything, NULL) == 0)
        pthread_join(id, NULL);
    malloc_trim(0);
    everything(NULL);
    json_read();
    expect(json_adds_up(), "the statistics add up, so nothing refused was counted");
    printf("failed %d wrong %d\n", failed, wrong);
    return wrong != 0;
}
