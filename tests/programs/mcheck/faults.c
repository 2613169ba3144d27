/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Faults that the checks find, one a run: faults CASE [mcheck|pedantic|handler]. Before the fault the program says on
 * standard output which lines it expects, without the frames of backtraces; with `handler` its own function says the
 * status it is told, and the program goes on. Without arguments the cases are listed: NAME|STATUS|CALLS OF THE BLOCK */
#include <malloc.h>
#include <mcheck.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* From the library under test; glibc has none of them. */
void free_sized(void *, size_t) __attribute__((weak));
void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));
void *_Znwm(size_t) __attribute__((weak));
void *_ZnwmSt11align_val_t(size_t, size_t) __attribute__((weak));
void *_Znam(size_t) __attribute__((weak));
void _ZdlPv(void *) __attribute__((weak));
void _ZdlPvm(void *, size_t) __attribute__((weak));
void _ZdaPvm(void *, size_t) __attribute__((weak));

#define HEAD "memory clobbered before allocated block"
#define TAIL "memory clobbered past end of allocated block"
#define TWICE "block freed twice"
#define USED "block used after it was freed"
#define WRITTEN "memory written after the block was freed"
#define INVALID "invalid pointer (not allocated by myalloc, or not the start of a block)"

static char static_bytes[64] __attribute__((aligned(16)));
static void *volatile sink; /* the compiler shall not see through what is done to a block */

/* Frames that the backtraces must show. */
__attribute__((noinline)) static char *take(size_t bytes) {
    sink = malloc(bytes);
    return sink;
}

__attribute__((noinline)) static void give(void *p) {
    sink = p;
    free(p);
    sink = NULL;
}

/* What is due: of a call for `p`, or where that is NULL of a late look. */
static void fault(const char *call, const void *p, const char *what) {
    if (p != NULL)
        printf("%s(%p): %s\n  called from\n", call, p, what);
    else
        printf("%s: %s\n", call, what);
}

static void about(size_t bytes, const void *p, const char *more, const char *allocated, const char *freed) {
    printf("  block of %zu bytes at %p%s\n  allocated by %s\n", bytes, p, more, allocated);
    if (freed != NULL)
        printf("  freed by %s\n", freed);
    fflush(stdout);
}

static void overflow(size_t bytes, const char *at) {
    char *p = take(bytes);
    fault("free", p, TAIL);
    about(bytes, p, at, "malloc", NULL);
    p[bytes] = 0;
    give(p);
}

static void overflow_24(void) {
    overflow(24, ", changed at offset 24");
}

static void overflow_0(void) {
    overflow(0, ", changed at offset 0");
}

/* In what a plain block would leave unused. */
static void overflow_101(void) {
    overflow(101, ", changed at offset 101");
}

static void overflow_large(void) {
    overflow(100000, ", changed at offset 100000");
}

static void overflow_mapping(void) {
    overflow(50 << 20, ", changed at offset 52428800");
}

static void overflow_by_16(void) {
    char *p = take(40);
    fault("free", p, TAIL);
    about(40, p, ", changed at offset 55", "malloc", NULL);
    p[55] = 'x';
    give(p);
}

static void underflow(void) {
    char *p = take(24);
    fault("free", p, HEAD);
    about(24, p, ", changed at offset -1", "malloc", NULL);
    p[-1] = 0;
    give(p);
}

static void underflow_by_16(void) {
    char *p = take(24);
    fault("free", p, HEAD);
    about(24, p, ", changed at offset -16", "malloc", NULL);
    p[-16] = 'x';
    give(p);
}

static void underflow_aligned(void) {
    char *p = sink = aligned_alloc(4096, 8192);
    fault("free", p, HEAD);
    about(8192, p, ", changed at offset -1", "aligned_alloc", NULL);
    p[-1] = 0;
    free(p);
}

static void overflow_calloc(void) {
    char *p = sink = calloc(3, 7);
    fault("free", p, TAIL);
    about(21, p, ", changed at offset 21", "calloc", NULL);
    p[21] = 1;
    free(p);
}

static void overflow_realloc(void) {
    char *p = take(24);
    fault("realloc", p, TAIL);
    about(24, p, ", changed at offset 24", "malloc", NULL);
    p[24] = 0;
    sink = realloc(p, 100);
}

static void overflow_realloc_large(void) {
    char *p = take(200000);
    fault("realloc", p, TAIL);
    about(200000, p, ", changed at offset 200000", "malloc", NULL);
    p[200000] = 0;
    sink = realloc(p, 400000);
}

static void overflow_after_realloc_large(void) {
    char *p = sink = realloc(take(200000), 400000);
    fault("free", p, TAIL);
    about(400000, p, ", changed at offset 400000", "realloc", NULL);
    p[400000] = 0;
    free(p);
}

static void overflow_new(void) {
    char *p = sink = _Znwm(24);
    fault("operator delete", p, TAIL);
    about(24, p, ", changed at offset 24", "operator new", NULL);
    p[24] = 0;
    _ZdlPv(p);
}

static void twice(size_t bytes) {
    char *p = take(bytes);
    fault("free", p, TWICE);
    about(bytes, p, "", "malloc", "free");
    give(p);
    give(p);
}

static void twice_24(void) {
    twice(24);
}

static void twice_large(void) {
    twice(100000);
}

static void twice_mapping(void) {
    twice(50 << 20);
}

/* Ten thousand frees and allocations later. */
static void twice_late(void) {
    char *p = take(64);
    fault("free", p, TWICE);
    about(64, p, "", "malloc", "free");
    give(p);
    for (int i = 0; i < 10000; i++)
        give(take(64));
    give(p);
}

static void twice_delete(void) {
    char *p = sink = _Znam(10);
    fault("operator delete[]", p, TWICE);
    about(10, p, "", "operator new[]", "operator delete[]");
    _ZdaPvm(p, 10);
    _ZdaPvm(p, 10);
}

static void realloc_after_free(void) {
    char *p = take(24);
    fault("realloc", p, USED);
    about(24, p, "", "malloc", "free");
    give(p);
    sink = realloc(p, 100);
}

static void usable_after_free(void) {
    char *p = take(24);
    fault("malloc_usable_size", p, USED);
    about(24, p, "", "malloc", "free");
    give(p);
    if (malloc_usable_size(p) != 0)
        puts("it has a size");
}

static void written_check_all(void) {
    char *p = take(24);
    fault("mcheck_check_all", p, WRITTEN);
    about(24, p, ", changed at offset 5", "malloc", "free");
    give(p);
    p[5] = 1;
    mcheck_check_all();
}

static void written_behind_end(void) {
    char *p = take(24);
    fault("mcheck_check_all", p, WRITTEN);
    about(24, p, ", changed at offset 24", "malloc", "free");
    give(p);
    p[24] = 1;
    mcheck_check_all();
}

/* Found when newer freed blocks push it out. */
static void written_reused(void) {
    char *p = take(24);
    fault("at the end of its quarantine", NULL, WRITTEN);
    about(24, p, ", changed at offset 23", "malloc", "free");
    give(p);
    p[23] = 1;
    for (int i = 0; i < 10; i++)
        give(take(500000));
}

static void written_at_exit(void) {
    char *p = take(24);
    fault("at exit", NULL, WRITTEN);
    about(24, p, ", changed at offset 0", "malloc", "free");
    give(p);
    p[0] = 1;
}

static void never_freed(void) {
    char *p = take(24);
    fault("at exit", NULL, TAIL);
    about(24, p, ", changed at offset 24", "malloc", NULL);
    p[24] = 1;
}

static void probed_tail(void) {
    char *p = take(24);
    fault("mprobe", p, TAIL);
    about(24, p, ", changed at offset 24", "malloc", NULL);
    p[24] = 1;
    printf("probe %d\n", mprobe(p));
    fflush(stdout);
}

static void probed_freed(void) {
    char *p = take(24);
    fault("mprobe", p, USED);
    about(24, p, "", "malloc", "free");
    give(p);
    printf("probe %d\n", mprobe(p));
    fflush(stdout);
}

static void size_too_small(void) {
    char *p = take(24);
    fault("free_sized", p, "size 23 for a block of 24 bytes");
    about(24, p, "", "malloc", NULL);
    free_sized(p, 23);
}

static void size_rounded(void) {
    char *p = take(30);
    fault("free_sized", p, "size 32 for a block of 30 bytes");
    about(30, p, "", "malloc", NULL);
    free_sized(p, 32);
}

static void sized_delete(void) {
    char *p = sink = _Znwm(8);
    fault("operator delete", p, "size 16 for a block of 8 bytes");
    about(8, p, "", "operator new", NULL);
    _ZdlPvm(p, 16);
}

static void aligned_size(void) {
    char *p = sink = aligned_alloc(64, 128);
    fault("free_aligned_sized", p, "size 64 for a block of 128 bytes");
    about(128, p, "", "aligned_alloc", NULL);
    free_aligned_sized(p, 64, 64);
}

static void alignment(void) {
    char *p = sink = aligned_alloc(64, 128);
    fault("free_aligned_sized", p, "alignment 128 for a block aligned to 64");
    about(128, p, "", "aligned_alloc", NULL);
    free_aligned_sized(p, 128, 128);
}

static void deleted_plainly(void) {
    char *p = sink = _ZnwmSt11align_val_t(128, 64);
    fault("operator delete", p, "alignment 16 for a block aligned to 64");
    about(128, p, "", "operator new", NULL);
    _ZdlPvm(p, 128);
}

static void deleted_malloc(void) {
    char *p = take(24);
    fault("operator delete", p, "block allocated by malloc");
    about(24, p, "", "malloc", NULL);
    _ZdlPv(p);
}

static void freed_new(void) {
    char *p = sink = _Znwm(24);
    fault("free", p, "block allocated by operator new");
    about(24, p, "", "operator new", NULL);
    give(p);
}

static void deleted_array(void) {
    char *p = sink = _Znam(24);
    fault("operator delete", p, "block allocated by operator new[]");
    about(24, p, "", "operator new[]", NULL);
    _ZdlPv(p);
}

static void inside(void) {
    char *p = take(100);
    fault("free", p + 16, INVALID);
    about(100, p, ", pointer at offset 16", "malloc", NULL);
    give(p + 16);
}

static void unaligned(void) {
    char *p = take(100);
    fault("free", p + 1, INVALID);
    about(100, p, ", pointer at offset 1", "malloc", NULL);
    give(p + 1);
}

static void before_the_block(void) {
    char *p = take(100);
    fault("free", p - 16, INVALID);
    about(100, p, ", pointer at offset -16", "malloc", NULL);
    give(p - 16);
}

static void inside_mapping(void) {
    char *p = take(50 << 20);
    fault("free", p + (1 << 20), INVALID);
    about(50 << 20, p, ", pointer at offset 1048576", "malloc", NULL);
    give(p + (1 << 20));
}

static void not_ours(const char *call, void *p) {
    fault(call, p, INVALID);
    fflush(stdout);
}

static void static_memory(void) {
    not_ours("free", static_bytes);
    give(static_bytes);
}

static void stack_memory(void) {
    char bytes[64] __attribute__((aligned(16)));
    not_ours("free", bytes);
    give(bytes);
}

static void foreign_mapping(void) {
    char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    not_ours("free", p);
    give(p);
}

static void realloc_static(void) {
    not_ours("realloc", static_bytes);
    sink = static_bytes;
    sink = realloc(sink, 100);
}

static void usable_static(void) {
    not_ours("malloc_usable_size", static_bytes);
    if (malloc_usable_size(static_bytes) != 0)
        puts("it has a size");
}

static void probe_static(void) {
    not_ours("mprobe", static_bytes);
    printf("probe %d\n", mprobe(static_bytes));
    fflush(stdout);
}

/* Only a check of all blocks at every call finds it before the block is freed. */
static void pedantic(void) {
    char *p = take(24);
    fault("malloc", p, TAIL);
    about(24, p, ", changed at offset 24", "malloc", NULL);
    p[24] = 1;
    sink = take(1);
}

enum { FRAME_TAKE = 1, FRAME_GIVE = 2 };

static const struct {
    const char *name;
    void (*run)(void);
    enum mcheck_status status;
    int frames;
} cases[] = {
#define CASE(name, status, frames)                                                                                     \
    { #name, name, status, frames }
    CASE(overflow_24, MCHECK_TAIL, FRAME_TAKE),
    CASE(overflow_0, MCHECK_TAIL, FRAME_TAKE),
    CASE(overflow_101, MCHECK_TAIL, FRAME_TAKE),
    CASE(overflow_large, MCHECK_TAIL, FRAME_TAKE),
    CASE(overflow_mapping, MCHECK_TAIL, FRAME_TAKE),
    CASE(overflow_by_16, MCHECK_TAIL, FRAME_TAKE),
    CASE(underflow, MCHECK_HEAD, FRAME_TAKE),
    CASE(underflow_by_16, MCHECK_HEAD, FRAME_TAKE),
    CASE(underflow_aligned, MCHECK_HEAD, 0),
    CASE(overflow_calloc, MCHECK_TAIL, 0),
    CASE(overflow_realloc, MCHECK_TAIL, FRAME_TAKE),
    CASE(overflow_realloc_large, MCHECK_TAIL, FRAME_TAKE),
    CASE(overflow_after_realloc_large, MCHECK_TAIL, 0),
    CASE(overflow_new, MCHECK_TAIL, 0),
    CASE(twice_24, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(twice_large, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(twice_mapping, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(twice_late, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(twice_delete, MCHECK_FREE, 0),
    CASE(realloc_after_free, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(usable_after_free, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(written_check_all, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(written_behind_end, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(written_reused, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(written_at_exit, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(never_freed, MCHECK_TAIL, FRAME_TAKE),
    CASE(probed_tail, MCHECK_TAIL, FRAME_TAKE),
    CASE(probed_freed, MCHECK_FREE, FRAME_TAKE | FRAME_GIVE),
    CASE(size_too_small, MCHECK_HEAD, FRAME_TAKE),
    CASE(size_rounded, MCHECK_HEAD, FRAME_TAKE),
    CASE(sized_delete, MCHECK_HEAD, 0),
    CASE(aligned_size, MCHECK_HEAD, 0),
    CASE(alignment, MCHECK_HEAD, 0),
    CASE(deleted_plainly, MCHECK_HEAD, 0),
    CASE(deleted_malloc, MCHECK_HEAD, FRAME_TAKE),
    CASE(freed_new, MCHECK_HEAD, 0),
    CASE(deleted_array, MCHECK_HEAD, 0),
    CASE(inside, MCHECK_HEAD, FRAME_TAKE),
    CASE(unaligned, MCHECK_HEAD, FRAME_TAKE),
    CASE(before_the_block, MCHECK_HEAD, FRAME_TAKE),
    CASE(inside_mapping, MCHECK_HEAD, FRAME_TAKE),
    CASE(static_memory, MCHECK_HEAD, 0),
    CASE(stack_memory, MCHECK_HEAD, 0),
    CASE(foreign_mapping, MCHECK_HEAD, 0),
    CASE(realloc_static, MCHECK_HEAD, 0),
    CASE(usable_static, MCHECK_HEAD, 0),
    CASE(probe_static, MCHECK_HEAD, 0),
    CASE(pedantic, MCHECK_TAIL, FRAME_TAKE),
};

static void on_fault(enum mcheck_status status) {
    fprintf(stderr, "status %d\n", status);
}

int main(int argc, char **argv) {
    static char buffer[4096];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    const char *mode = argc > 2 ? argv[2] : "";
    if (strcmp(mode, "mcheck") == 0 && mcheck(NULL) != 0)
        puts("mcheck failed");
    if (strcmp(mode, "pedantic") == 0 && mcheck_pedantic(NULL) != 0)
        puts("mcheck_pedantic failed");
    if (strcmp(mode, "handler") == 0 && mcheck(on_fault) != 0)
        puts("mcheck failed");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc < 2)
            printf("%s|%d|%d\n", cases[i].name, cases[i].status, cases[i].frames);
        else if (strcmp(argv[1], cases[i].name) == 0)
            cases[i].run();
    }
    if (argc > 1)
        puts("went on");
    return 0;
}
