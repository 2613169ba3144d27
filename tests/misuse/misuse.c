/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Misuses, one a run: misuse CASE. A correct outcome is the allocator's message and SIGABRT, never a return. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* From the library under test; glibc has neither. */
void free_sized(void *, size_t) __attribute__((weak));
void cfree(void *) __attribute__((weak));

static char static_bytes[64];

/* Prints the pointer, so that the driver can look for it in the message. */
static void *say(void *p) {
    fprintf(stderr, "pointer %p\n", p);
    return p;
}

static void twice(size_t bytes) {
    void *p = say(malloc(bytes));
    free(p);
    free(p);
}

/* A block that its thread's list has long passed on still is no other block. */
static void stack(void) {
    char bytes[64] __attribute__((aligned(16)));
    free(say(bytes));
}

static void literal(void) {
    free(say((void *)(size_t) "a string literal"));
}

static void static_memory(void) {
    free(say(static_bytes));
}

static void off_by_one(void) {
    free(say((char *)malloc(100) + 1));
}

static void off_by_eight(void) {
    free(say((char *)malloc(100) + 8));
}

static void far_away(void) {
    free(say((void *)0xdeadbeefdeadbee0));
}

static void just_out_of_range(void) {
    free(say((void *)(1ul << 47)));
}

static void small_number(void) {
    free(say((void *)0x10));
}

static void kernel_half(void) {
    free(say((void *)0xffffffffff600000));
}

static void interior_of_large(void) {
    free(say((char *)malloc(100000) + 16384));
}

static void interior_of_large_odd(void) {
    free(say((char *)malloc(100000) + 4112));
}

static void interior_of_mapping(void) {
    free(say((char *)malloc(50 << 20) + 4096));
}

static void foreign_mapping(void) {
    free(say(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}

static void behind_the_heap(void) {
    char *p = malloc(100);
    free(say(p + (200 << 20)));
}

static void twice_1(void) {
    twice(1);
}

static void twice_24(void) {
    twice(24);
}

static void twice_1000(void) {
    twice(1000);
}

static void twice_30000(void) {
    twice(30000);
}

/* Not at the head of a list any more: found when the list goes back to where its blocks came from. */
static void twice_with_others_between(void) {
    enum { COUNT = 20000 };
    static char *p[COUNT];
    for (int i = 0; i < COUNT; i++)
        p[i] = malloc(64);
    free(p[0]);
    free(p[1]);
    free(p[0]);
    for (int i = 2; i < COUNT; i++)
        free(p[i]);
    malloc_trim(0);
}

/* A block written to after its free, where the allocator keeps its link. Found when the list goes home. */
static void written_after_free(void *link) {
    void **p = malloc(64), *others[20];
    for (int i = 0; i < 20; i++)
        others[i] = malloc(64);
    free(p);
    *p = say(link);
    for (int i = 0; i < 20; i++)
        free(others[i]);
    malloc_trim(0);
}

static void link_to_foreign_memory(void) {
    static char foreign[64] __attribute__((aligned(64)));
    written_after_free(foreign);
}

static void link_to_another_size(void) {
    written_after_free(malloc(1000));
}

static void twice_large(void) {
    twice(100000);
}

static void twice_mapping(void) {
    twice(50 << 20);
}

static void realloc_invalid(void) {
    static_bytes[0] = 1;
    say(static_bytes);
    if (realloc(static_bytes, 100) != NULL)
        puts("realloc came back");
}

static void usable_invalid(void) {
    printf("%zu\n", malloc_usable_size(say(static_bytes)));
}

static void free_sized_invalid(void) {
    free_sized(say(static_bytes), 64);
}

static void cfree_invalid(void) {
    cfree(say(static_bytes));
}

static void realloc_zero_twice(void) {
    char *p = say(malloc(40));
    free(p);
    if (realloc(p, 0) != NULL)
        puts("realloc came back");
}

static const struct {
    const char *name;
    void (*run)(void);
    const char *call, *what;
} cases[] = {
#define CASE(name, call, what) {#name, name, call, what}
    CASE(stack, "free", "invalid pointer"),
    CASE(literal, "free", "invalid pointer"),
    CASE(static_memory, "free", "invalid pointer"),
    CASE(off_by_one, "free", "invalid pointer"),
    CASE(off_by_eight, "free", "invalid pointer"),
    CASE(far_away, "free", "invalid pointer"),
    CASE(just_out_of_range, "free", "invalid pointer"),
    CASE(small_number, "free", "invalid pointer"),
    CASE(kernel_half, "free", "invalid pointer"),
    CASE(interior_of_large, "free", "invalid pointer"),
    CASE(interior_of_large_odd, "free", "invalid pointer"),
    CASE(interior_of_mapping, "free", "invalid pointer"),
    CASE(foreign_mapping, "free", "invalid pointer"),
    CASE(behind_the_heap, "free", "invalid pointer"),
    CASE(twice_1, "free", "double free"),
    CASE(twice_24, "free", "double free"),
    CASE(twice_1000, "free", "double free"),
    CASE(twice_30000, "free", "double free"),
    CASE(twice_with_others_between, "free", "double free (found late)"),
    CASE(link_to_foreign_memory, "free", "invalid pointer"),
    CASE(link_to_another_size, "free", "invalid pointer"),
    CASE(twice_large, "free", "invalid pointer"),
    CASE(twice_mapping, "free", "invalid pointer"),
    CASE(realloc_invalid, "realloc", "invalid pointer"),
    CASE(usable_invalid, "malloc_usable_size", "invalid pointer"),
    CASE(free_sized_invalid, "free_sized", "invalid pointer"),
    CASE(cfree_invalid, "cfree", "invalid pointer"),
    CASE(realloc_zero_twice, "realloc", "double free"),
};

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc < 2)
            printf("%s|%s|%s\n", cases[i].name, cases[i].call, cases[i].what);
        else if (strcmp(argv[1], cases[i].name) == 0)
            cases[i].run();
    }
    return 0;
}
