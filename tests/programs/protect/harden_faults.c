/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Faults of a program on hardened blocks, one a run: harden_faults CASE SIZE. Each prints the pointer that
 * the message must name, and goes on to a normal end, which no fault may reach but by an atexit look. */
#include <malloc.h>
#include <mcheck.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "programs/protect/rooms.h"

/* From the library; glibc has none. */
void free_sized(void *, size_t) __attribute__((weak));
void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));
void *_Znwm(size_t) __attribute__((weak));
void *_Znam(size_t) __attribute__((weak));
void _ZdlPv(void *) __attribute__((weak));
void _ZdaPv(void *) __attribute__((weak));
void _ZdlPvm(void *, size_t) __attribute__((weak));
void _ZdlPvmSt11align_val_t(void *, size_t, size_t) __attribute__((weak));

static size_t size;
static volatile char sink;
static char static_bytes[64];

static void *say(const void *p) {
    fprintf(stderr, "pointer %p\n", p);
    return (void *)p;
}

static char *block(void) {
    return say(malloc(size));
}

static void over(size_t bytes, int byte) {
    char *p = block();
    for (volatile size_t i = 0; i < bytes; i++)
        ((volatile char *)p)[size + i] = (char)byte;
    free(p);
}

static void over_nul(void) { over(1, 0); }
static void over_char(void) { over(1, 'A'); }
static void over_ff(void) { over(1, 0xff); }
static void over_32(void) { over(32, 'A'); }

static void over_mib(void) {
    static char source[(1 << 20) + 40000];
    char *p = block();
    void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    copy(p + size, source, 1 << 20);
    free(p);
}

static void over_far(void) {
    volatile char *p = block();
    p[size + (1 << 20)] = 'A';
    free((char *)p);
}

static void over_exit(void) {
    volatile char *p = block();
    p[size] = 'A';
}

static void over_realloc(void) {
    volatile char *p = block();
    p[size] = 'A';
    free(realloc((char *)p, size * 2));
}

static void under(size_t bytes, int byte) {
    char *p = block();
    for (size_t i = 1; i <= bytes; i++)
        ((volatile char *)p)[-(ptrdiff_t)i] = (char)byte;
    free(p);
}

static void under_nul(void) { under(1, 0); }
static void under_char(void) { under(1, 'A'); }
static void under_32(void) { under(32, 'A'); }

static void twice(void) {
    char *p = block();
    free(p);
    free(p);
}

static void twice_late(void) {
    char *p = block();
    free(p);
    for (int i = 0; i < 40; i++)
        free(malloc(size));
    free(p);
}

static void twice_between(void) {
    char *p = block(), *q = malloc(size);
    free(p);
    free(q);
    free(p);
}

static void used_realloc(void) {
    char *p = block();
    free(p);
    free(realloc(p, size * 2));
}

static void used_size(void) {
    char *p = block();
    free(p);
    sink = (char)malloc_usable_size(p);
}

/* Found when it leaves the quarantine. */
static void written_freed(void) {
    char *p = block();
    free(p);
    ((volatile char *)p)[size / 2] = 'A';
    for (int i = 0; i < 100000; i++)
        free(malloc(size));
}

/* Found at exit. */
static void written_freed_exit(void) {
    char *p = block();
    free(p);
    ((volatile char *)p)[0] = 'A';
}

static void inner(size_t distance) {
    char *p = block();
    free(say(p + distance));
}

static void inner_1(void) { inner(1); }
static void inner_8(void) { inner(8); }
static void inner_16(void) { inner(16); }

static void on_stack(void) {
    char bytes[64] __attribute__((aligned(16)));
    free(block());
    free(say(bytes));
}

static void literal(void) {
    free(say("a literal"));
}

static void on_static(void) {
    free(say(static_bytes));
}

static void far_away(void) {
    free(say((void *)0x123456789abc0));
}

static void mapping(void) {
    free(say(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}

static void mapping_gone(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 4096);
    free(say(p));
}

static void family_delete(void) { _ZdlPv(block()); }
static void family_array(void) { _ZdlPv(say(_Znam(size))); }
static void family_single(void) { _ZdaPv(say(_Znwm(size))); }
static void family_free(void) { free(say(_Znwm(size))); }
static void family_realloc(void) { free(realloc(say(_Znwm(size)), 2 * size)); }
static void size_free(void) { free_sized(block(), size + 1); }
static void size_delete(void) { _ZdlPvm(say(_Znwm(size)), size - 1); }
static void size_aligned(void) { free_aligned_sized(say(aligned_alloc(64, size)), 64, size + 64); }
static void align_free(void) { free_aligned_sized(say(aligned_alloc(64, size)), 32, size); }
static void align_delete(void) { _ZdlPvmSt11align_val_t(say(_Znwm(size)), size, 64); }

static void probed(void) {
    char *p = block();
    ((volatile char *)p)[size] = 'A';
    mprobe(p);
}

static void checked(void) {
    char *p = block();
    ((volatile char *)p)[size] = 'A';
    mcheck_check_all();
}

static void zero_write(void) {
    *(volatile char *)say(malloc(0)) = 1;
}

static void zero_read(void) {
    sink = *(volatile char *)say(malloc(0));
}

static void zero_twice(void) {
    void *p = say(malloc(0));
    free(p);
    free(p);
}

/* Freed memory of a large block cannot be touched, that of a small one holds nothing of what was there. */
static void read_freed(void) {
    char *p = block();
    memset(p, 'A', size);
    free(p);
    for (size_t i = 0; i < size; i++)
        if (((volatile char *)p)[i] != 0)
            fprintf(stderr, "old contents\n");
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(name) {#name, name}
    CASE(over_nul), CASE(over_char), CASE(over_ff), CASE(over_32), CASE(over_mib), CASE(over_far), CASE(over_exit),
    CASE(over_realloc), CASE(under_nul), CASE(under_char), CASE(under_32), CASE(twice), CASE(twice_late),
    CASE(twice_between), CASE(used_realloc), CASE(used_size), CASE(written_freed), CASE(written_freed_exit), CASE(inner_1),
    CASE(inner_8), CASE(inner_16), CASE(on_stack), CASE(literal), CASE(on_static), CASE(far_away), CASE(mapping),
    CASE(mapping_gone), CASE(family_delete), CASE(family_array), CASE(family_single), CASE(family_free),
    CASE(family_realloc), CASE(size_free), CASE(size_delete), CASE(size_aligned), CASE(align_free), CASE(align_delete),
    CASE(probed), CASE(checked), CASE(zero_write), CASE(zero_read), CASE(zero_twice), CASE(read_freed),
};

int main(int argc, char **argv) {
    size = argc > 2 ? strtoul(argv[2], NULL, 10) : 24;
    if (argc > 1)
        rooms_only();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (argc < 2)
            puts(cases[i].name);
        else if (strcmp(argv[1], cases[i].name) == 0)
            cases[i].run();
    return 0;
}
