/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug */
/* Blocks that the kernel will not move as a whole, because the program has done something to a part of them: they grow and
 * shrink all the same. And blocks of a process that has as many mappings as it may have. */
#include "tap.h"

#include <malloc.h>
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)
#define PAGE 4096

static char *part_of(char *p) {
    return (char *)(((uintptr_t)p + MIB + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
}

static int lock_part(char *p) {
    return mlock(part_of(p), 16 * PAGE);
}

static int dont_fork(char *p) {
    return madvise(part_of(p), 16 * PAGE, MADV_DONTFORK);
}

static int no_huge(char *p) {
    return madvise(part_of(p), 16 * PAGE, MADV_NOHUGEPAGE);
}

static int read_only(char *p) {
    return mprotect(part_of(p), 16 * PAGE, PROT_READ);
}

static int dont_dump(char *p) {
    return madvise(part_of(p), 16 * PAGE, MADV_DONTDUMP);
}

static int wipe_on_fork(char *p) {
    return madvise(part_of(p), 16 * PAGE, MADV_WIPEONFORK);
}

static int mergeable(char *p) {
    return madvise(part_of(p), 2 * MIB, MADV_MERGEABLE);
}

static const struct {
    const char *name;
    int (*split)(char *p);
} splits[] = {{"locked", lock_part}, {"not inherited", dont_fork}, {"without huge pages", no_huge}, {"read-only", read_only},
              {"not dumped", dont_dump}, {"wiped in children", wipe_on_fork}, {"to be merged", mergeable}};

static bool holds(const char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += PAGE)
        if (p[i] != (char)(i / PAGE + 1))
            return false;
    return true;
}

static void grows(size_t bytes, const char *kind) {
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        char *p = malloc(bytes);
        for (size_t k = 0; k < bytes; k += PAGE)
            p[k] = (char)(k / PAGE + 1);
        bool done = splits[i].split(p) == 0;
        errno = 0;
        char *q = realloc(p, 40 * MIB);
        tap(q != NULL && holds(q, bytes) && errno == 0, "%s grows, a part of it %s%s", kind, splits[i].name,
            done ? "" : " (which the kernel refused)");
        if (q == NULL)
            continue;
        munlock(q, 40 * MIB);
        done = splits[i].split(q) == 0;
        char *r = realloc(q, 2 * MIB);
        tap(r != NULL && holds(r, MIB), "... and shrinks%s", done ? "" : " (the same)");
        mprotect(part_of(r ? r : q), 2 * MIB - MIB, PROT_READ | PROT_WRITE);
        free(r ? r : q);
    }
}

/* Each second page of a range has other rights: two mappings for two pages. Leaves room for `left` more. */
static void use_up_mappings(int left) {
    size_t bytes = (size_t)200000 * PAGE;
    char *space = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t at = PAGE;
    while (at < bytes && mprotect(space + at, PAGE, PROT_READ) == 0)
        at += 2 * PAGE;
    for (; left > 0 && at > PAGE; left -= 2)
        mprotect(space + (at -= 2 * PAGE), PAGE, PROT_NONE);
}

/* mremap wants room for three mappings more than there are, mmap and the break that there be not more than allowed. */
static void many_mappings(int left, bool mapped) {
    if (!mapped)
        mallopt(M_MMAP_THRESHOLD, 64 << 20);
    free(malloc(20)); /* there is a heap, however small */
    char *p = malloc(8 * MIB), *q = malloc(300000);
    memset(p, 5, 8 * MIB);
    memset(q, 6, 300000);
    use_up_mappings(left);
    p = realloc(p, 20 * MIB);
    q = realloc(q, 4 * MIB);
    bool right = p != NULL && p[0] == 5 && p[8 * MIB - 1] == 5 && q != NULL && q[0] == 6 && q[299999] == 6;
    for (int i = 0; right && i < 20; i++) {
        char *more = malloc(i % 2 ? 700000 : 3000000);
        right = more != NULL;
        if (right)
            memset(more, 7, 700000);
        p = realloc(p, (20 + (size_t)i) * MIB);
        right = right && p != NULL && p[8 * MIB - 1] == 5;
        free(more);
    }
    char *zeros = calloc(1, 9 * MIB);
    for (size_t i = 0; right && i < 9 * MIB; i += 512)
        right = zeros != NULL && zeros[i] == 0;
    _exit(right ? 0 : 1);
}

int main(void) {
    int status;
    tap_watchdog(100);
    static const int rooms[][2] = {{0, true}, {2, true}, {4, true}, {8, true}, {0, false}, {6, false}, {10, false}};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        int left = rooms[i][0];
        bool mapped = rooms[i][1];
        pid_t child = fork();
        if (child == 0)
            many_mappings(left, mapped);
        tap(waitpid(child, &status, 0) == child && status == 0, "%s, where there may be %d mappings more",
            mapped ? "mappings and heap" : "heap alone", left);
    }
    /* What these do to the heap stays done to it. */
    grows(8 * MIB, "a mapping");
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    grows(8 * MIB, "a block of the heap");
    return tap_done();
}
