/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Frees, and other calls, of what is no live block. */
#include <pthread.h>
#include <sys/mman.h>

#include "misuse.h"

/* From the library under test; glibc has none of them. */
void free_sized(void *, size_t) __attribute__((weak));
void cfree(void *) __attribute__((weak));
void _ZdlPv(void *) __attribute__((weak));

extern char **environ;
static char static_bytes[64] __attribute__((aligned(16)));
static __thread char thread_bytes[64] __attribute__((aligned(16)));

static void free_it(void *p) {
    about(p);
    begin();
    give(p);
    happened();
}

/* Looks whether one block is handed out twice among the next ones. */
static void look_for_twins(size_t bytes) {
    enum { COUNT = 100 };
    char *next[COUNT];
    bool twins = false;
    for (int i = 0; i < COUNT; i++) {
        next[i] = take(bytes);
        for (int k = 0; k < i; k++)
            twins |= next[i] == next[k];
    }
    say(twins ? "not caught: one block is handed out twice" : "harmless: no block is handed out twice");
}

/* ---- double free ------------------------------------------------------------------------------------------------- */

static void twice(size_t bytes) {
    char *p = take(bytes);
    give(p);
    free_it(p);
}

static void twice_1(void) {
    twice(1);
}

static void twice_small(void) {
    twice(SMALL);
}

static void twice_1000(void) {
    twice(1000);
}

static void twice_30000(void) {
    twice(30000);
}

static void twice_large(void) {
    twice(LARGE);
}

static void twice_mapping(void) {
    twice(MAPPING);
}

static void twice_huge(void) {
    twice(50 * MB);
}

/* Others are freed between the two. */
static void delayed(size_t bytes) {
    char *p[6];
    for (int i = 0; i < 6; i++)
        p[i] = take(bytes);
    for (int i = 0; i < 5; i++)
        give(p[i]);
    free_it(p[0]);
    look_for_twins(bytes);
}

static void delayed_small(void) {
    delayed(SMALL);
}

static void delayed_large(void) {
    delayed(LARGE);
}

static void delayed_mapping(void) {
    delayed(MAPPING);
}

/* The list goes back to where its blocks came from. */
static void delayed_home(void) {
    enum { COUNT = 20000 };
    static char *p[COUNT];
    for (int i = 0; i < COUNT; i++)
        p[i] = take(SMALL);
    give(p[0]);
    give(p[1]);
    free_it(p[0]);
    for (int i = 2; i < COUNT; i++)
        give(p[i]);
    malloc_trim(0);
}

static void interleaved(size_t bytes) {
    char *a = take(bytes), *b = take(bytes);
    give(a);
    give(b);
    free_it(a);
    look_for_twins(bytes);
}

static void interleaved_small(void) {
    interleaved(SMALL);
}

static void interleaved_large(void) {
    interleaved(LARGE);
}

/* Freed, handed out anew if blocks are at once, freed by the old pointer. */
static void reused(size_t bytes) {
    sink = take(bytes);
    char *p = take(bytes);
    sink = take(bytes);
    give(p);
    char *q = take(bytes);
    free_it(p);
    char *r = take(bytes);
    say(r == q ? "not caught: a live block is freed and handed out again" : "harmless: no block is handed out twice");
}

static void reused_small(void) {
    reused(SMALL);
}

static void reused_large(void) {
    reused(LARGE);
}

static void reused_mapping(void) {
    reused(MAPPING);
}

static void *free_in_thread(void *p) {
    give(p);
    return NULL;
}

static void by_thread(void *p) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_in_thread, p) != 0 || pthread_join(thread, NULL) != 0)
        abort();
}

/* The first free is another thread's, which has ended. */
static void threads_small(void) {
    char *p = take(SMALL);
    by_thread(p);
    free_it(p);
    look_for_twins(SMALL);
}

static void threads_large(void) {
    char *p = take(LARGE);
    by_thread(p);
    free_it(p);
}

static void zero_realloc_twice(void) {
    char *p = about(take(SMALL));
    sink = realloc(p, 0);
    begin();
    sink = realloc(p, 0);
    happened();
}

static void zero_realloc_freed(void) {
    char *p = take(SMALL);
    sink = realloc(p, 0);
    free_it(p);
}

/* ---- never allocated --------------------------------------------------------------------------------------------- */

static void stack(void) {
    char bytes[64] __attribute__((aligned(16)));
    free_it(bytes);
}

static void literal(void) {
    free_it((void *)(uintptr_t) "a string literal");
}

static void static_memory(void) {
    free_it(static_bytes);
}

static void thread_memory(void) {
    free_it(thread_bytes);
}

static void code(void) {
    free_it((void *)(uintptr_t)&code);
}

static void environment(void) {
    free_it(environ[0]);
}

static void far_away(void) {
    free_it((void *)0xdeadbeefdeadbee0);
}

static void just_out_of_range(void) {
    free_it((void *)(1ul << 47));
}

static void kernel_half(void) {
    free_it((void *)0xffffffffff600000);
}

static void small_number(void) {
    free_it((void *)0x10);
}

static void number_1(void) {
    free_it((void *)1);
}

static void foreign_mapping(void) {
    free_it(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void unmapped(void) {
    void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 65536);
    free_it(p);
}

static void behind_the_heap(void) {
    free_it(take(SMALL) + 200 * MB);
}

/* ---- beside or inside a block ------------------------------------------------------------------------------------ */

static void off_by_one(void) {
    free_it(take(100) + 1);
}

static void off_by_eight(void) {
    free_it(take(100) + 8);
}

/* Aligned as a block would be. */
static void interior(void) {
    char *p = take(SMALL);
    free_it(p + 16);
    char *q = take(SMALL);
    say(q == p + 16 ? "not caught: a block inside a live one is handed out" : "harmless: not in the next block");
}

static void interior_home(void) {
    char *p = take(SMALL);
    free_it(p + 16);
    malloc_trim(0);
}

static void interior_large(void) {
    free_it(take(LARGE) + 16384);
}

static void interior_large_odd(void) {
    free_it(take(LARGE) + 4112);
}

static void interior_mapping(void) {
    free_it(take(MAPPING) + 4096);
}

static void interior_aligned(void) {
    free_it((char *)aligned_alloc(1024, 1024) + 512);
    malloc_trim(0);
}

/* The place behind, or before, the highest and lowest of some blocks: no block was ever there. */
static void adjacent(bool behind) {
    enum { COUNT = 8, ODD = 496 };
    char *p = take(ODD);
    for (int i = 1; i < COUNT; i++) {
        char *q = take(ODD);
        p = (q > p) == behind ? q : p;
    }
    free_it(behind ? p + ODD : p - ODD);
    malloc_trim(0);
}

static void adjacent_behind(void) {
    adjacent(true);
}

static void adjacent_before(void) {
    adjacent(false);
}

/* ---- other calls ------------------------------------------------------------------------------------------------- */

static void resize(void *p, size_t bytes) {
    about(p);
    begin();
    sink = realloc(p, bytes);
    happened();
    say("not caught: realloc returns %s", sink == p ? "the pointer itself" : "a block");
}

static void realloc_static(void) {
    resize(static_bytes, 100);
}

static void realloc_freed(void) {
    char *p = take(SMALL);
    give(p);
    resize(p, 10 * SMALL);
}

static void realloc_freed_same(void) {
    char *p = take(SMALL);
    give(p);
    resize(p, SMALL - 8);
}

static void realloc_freed_delayed(void) {
    char *p = take(SMALL), *q = take(SMALL);
    give(p);
    give(q);
    resize(p, 10 * SMALL);
}

static void realloc_freed_large(void) {
    char *p = take(LARGE);
    give(p);
    resize(p, 2 * LARGE);
}

static void realloc_freed_mapping(void) {
    char *p = take(MAPPING);
    give(p);
    resize(p, 2 * MAPPING);
}

static void realloc_interior(void) {
    resize(take(SMALL) + 16, 10 * SMALL);
}

static void realloc_interior_odd(void) {
    resize(take(SMALL) + 4, 10 * SMALL);
}

static void realloc_interior_large(void) {
    resize(take(LARGE) + 4096, 2 * LARGE);
}

static void usable(void *p) {
    about(p);
    begin();
    size_t bytes = malloc_usable_size(p);
    happened();
    say("not caught: tells %s", bytes > 0 ? "a size" : "0 bytes");
}

static void usable_static(void) {
    usable(static_bytes);
}

/* Where no block was ever. */
static void usable_never(void) {
    usable(take(SMALL) + MB);
}

static void usable_freed(void) {
    char *p = take(SMALL);
    give(p);
    usable(p);
}

static void usable_freed_large(void) {
    char *p = take(LARGE);
    give(p);
    usable(p);
}

static void usable_freed_mapping(void) {
    char *p = take(MAPPING);
    give(p);
    usable(p);
}

static void usable_interior(void) {
    usable(take(SMALL) + 16);
}

static void usable_interior_odd(void) {
    usable(take(SMALL) + 4);
}

static void free_sized_static(void) {
    about(static_bytes);
    begin();
    free_sized(static_bytes, 64);
    happened();
}

static void cfree_static(void) {
    about(static_bytes);
    begin();
    cfree(static_bytes);
    happened();
}

static void delete_static(void) {
    about(static_bytes);
    begin();
    _ZdlPv(static_bytes);
    happened();
}

static const struct misuse cases[] = {
    CASE(twice_1, "double free at once, 1 byte"),
    CASE(twice_small, "double free at once, 64 bytes"),
    CASE(twice_1000, "double free at once, 1000 bytes"),
    CASE(twice_30000, "double free at once, 30000 bytes"),
    CASE(twice_large, "double free at once, 64 KiB"),
    CASE(twice_mapping, "double free at once, 1 MiB"),
    CASE(twice_huge, "double free at once, 50 MiB"),
    CASE(delayed_small, "double free, four others freed between"),
    CASE(delayed_large, "double free, four others freed between, 64 KiB"),
    CASE(delayed_mapping, "double free, four others freed between, 1 MiB"),
    CASE(delayed_home, "double free, one freed between and 20000 after, malloc_trim"),
    CASE(interleaved_small, "double free interleaved: a, b, a"),
    CASE(interleaved_large, "double free interleaved: a, b, a, 64 KiB"),
    CASE(reused_small, "double free, block handed out anew"),
    CASE(reused_large, "double free, 64 KiB, handed out anew"),
    CASE(reused_mapping, "double free, 1 MiB, handed out anew"),
    CASE(threads_small, "double free, the first by another thread"),
    CASE(threads_large, "double free, the first by another thread, 64 KiB"),
    CASE(zero_realloc_twice, "realloc(p, 0) twice"),
    CASE(zero_realloc_freed, "free after realloc(p, 0)"),
    CASE(stack, "free of the stack"),
    CASE(literal, "free of a string literal"),
    CASE(static_memory, "free of static memory"),
    CASE(thread_memory, "free of a thread-local variable"),
    CASE(code, "free of a function"),
    CASE(environment, "free of a string of the environment"),
    CASE(far_away, "free of a non-canonical address"),
    CASE(just_out_of_range, "free of the first address above user space"),
    CASE(kernel_half, "free of an address of the kernel's half"),
    CASE(small_number, "free of the number 16"),
    CASE(number_1, "free of the number 1"),
    CASE(foreign_mapping, "free of the program's own mapping"),
    CASE(unmapped, "free of a mapping that is gone"),
    CASE(behind_the_heap, "free 200 MiB behind a block"),
    CASE(off_by_one, "free 1 byte into a block"),
    CASE(off_by_eight, "free 8 bytes into a block"),
    CASE(interior, "free 16 bytes into a block"),
    CASE(interior_home, "free 16 bytes into a block, malloc_trim"),
    CASE(interior_aligned, "free 512 bytes into an aligned block, malloc_trim"),
    CASE(interior_large, "free 16 KiB into 64 KiB"),
    CASE(interior_large_odd, "free 4112 bytes into 64 KiB"),
    CASE(interior_mapping, "free 4 KiB into 1 MiB"),
    CASE(adjacent_behind, "free of the place behind a block, malloc_trim"),
    CASE(adjacent_before, "free of the place before a block, malloc_trim"),
    CASE(realloc_static, "realloc of static memory"),
    CASE(realloc_freed, "realloc of a freed block"),
    CASE(realloc_freed_same, "realloc of a freed block to about its size"),
    CASE(realloc_freed_delayed, "realloc of a freed block, another freed between"),
    CASE(realloc_freed_large, "realloc of a freed block of 64 KiB"),
    CASE(realloc_freed_mapping, "realloc of a freed block of 1 MiB"),
    CASE(realloc_interior, "realloc 16 bytes into a block"),
    CASE(realloc_interior_odd, "realloc 4 bytes into a block"),
    CASE(realloc_interior_large, "realloc 4 KiB into 64 KiB"),
    CASE(usable_static, "malloc_usable_size of static memory"),
    CASE(usable_never, "malloc_usable_size of a place that no block ever had"),
    CASE(usable_freed, "malloc_usable_size of a freed block"),
    CASE(usable_freed_large, "malloc_usable_size of a freed block of 64 KiB"),
    CASE(usable_freed_mapping, "malloc_usable_size of a freed block of 1 MiB"),
    CASE(usable_interior, "malloc_usable_size 16 bytes into a block"),
    CASE(usable_interior_odd, "malloc_usable_size 4 bytes into a block"),
    CASE(free_sized_static, "free_sized of static memory"),
    CASE(cfree_static, "cfree of static memory"),
    CASE(delete_static, "delete of static memory"),
};

MISUSE_MAIN
