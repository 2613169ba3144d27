/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Blocks freed by the wrong call, or with a wrong size or alignment. */
#include "misuse.h"

/* From the library under test; glibc has none of them. */
void free_sized(void *, size_t) __attribute__((weak));
void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));
void *_Znwm(size_t) __attribute__((weak));
void *_Znam(size_t) __attribute__((weak));
void *_ZnwmSt11align_val_t(size_t, size_t) __attribute__((weak));
void _ZdlPv(void *) __attribute__((weak));
void _ZdaPv(void *) __attribute__((weak));
void _ZdlPvm(void *, size_t) __attribute__((weak));
void _ZdaPvm(void *, size_t) __attribute__((weak));
void _ZdlPvSt11align_val_t(void *, size_t) __attribute__((weak));
void _ZdlPvmSt11align_val_t(void *, size_t, size_t) __attribute__((weak));

/* One statement that frees `p`, the misuse. */
#define FREED_BY(p, statement)                                                                                         \
    do {                                                                                                               \
        sink = about(p);                                                                                               \
        begin();                                                                                                       \
        statement;                                                                                                     \
        happened();                                                                                                    \
        say("harmless: freed as what it is");                                                                          \
    } while (0)

static void new_free(void) {
    FREED_BY(_Znwm(SMALL), free(sink));
}

static void new_array_free(void) {
    FREED_BY(_Znam(SMALL), free(sink));
}

static void malloc_delete(void) {
    FREED_BY(malloc(SMALL), _ZdlPv(sink));
}

static void malloc_delete_array(void) {
    FREED_BY(malloc(SMALL), _ZdaPv(sink));
}

static void calloc_delete(void) {
    FREED_BY(calloc(SMALL, 1), _ZdlPv(sink));
}

static void new_array_delete(void) {
    FREED_BY(_Znam(SMALL), _ZdlPv(sink));
}

static void new_delete_array(void) {
    FREED_BY(_Znwm(SMALL), _ZdaPv(sink));
}

static void new_delete_array_large(void) {
    FREED_BY(_Znwm(LARGE), _ZdaPv(sink));
}

static void aligned_new_delete(void) {
    FREED_BY(_ZnwmSt11align_val_t(SMALL, 64), _ZdlPv(sink));
}

static void new_aligned_delete(void) {
    FREED_BY(_Znwm(SMALL), _ZdlPvSt11align_val_t(sink, 64));
}

static void aligned_alloc_delete(void) {
    FREED_BY(aligned_alloc(64, SMALL), _ZdlPv(sink));
}

static void memalign_delete_array(void) {
    FREED_BY(memalign(64, SMALL), _ZdaPv(sink));
}

static void new_realloc(void) {
    sink = about(_Znwm(SMALL));
    begin();
    sink = realloc(sink, 10 * SMALL);
    happened();
    say("harmless: freed as what it is");
}

static void sized_delete(void) {
    FREED_BY(_Znwm(SMALL), _ZdlPvm(sink, SMALL / 2));
}

static void sized_delete_type(void) {
    FREED_BY(_Znwm(1), _ZdlPvm(sink, 1024));
}

static void sized_delete_array(void) {
    FREED_BY(_Znam(SMALL), _ZdaPvm(sink, 10 * SMALL));
}

static void sized_delete_large(void) {
    FREED_BY(_Znwm(LARGE), _ZdlPvm(sink, LARGE / 2));
}

static void sized_delete_aligned(void) {
    FREED_BY(_ZnwmSt11align_val_t(SMALL, 64), _ZdlPvmSt11align_val_t(sink, SMALL / 2, 64));
}

static void sized_delete_alignment(void) {
    FREED_BY(_ZnwmSt11align_val_t(256, 64), _ZdlPvmSt11align_val_t(sink, 256, 256));
}

static void free_sized_less(void) {
    FREED_BY(malloc(SMALL), free_sized(sink, SMALL / 2));
}

static void free_sized_more(void) {
    FREED_BY(malloc(SMALL), free_sized(sink, 10 * SMALL));
}

static void free_sized_large(void) {
    FREED_BY(malloc(LARGE), free_sized(sink, LARGE + 4096));
}

static void free_sized_mapping(void) {
    FREED_BY(malloc(MAPPING), free_sized(sink, SMALL));
}

static void free_aligned_size(void) {
    FREED_BY(aligned_alloc(64, 128), free_aligned_sized(sink, 64, 64));
}

static void free_aligned_alignment(void) {
    FREED_BY(aligned_alloc(64, 128), free_aligned_sized(sink, 128, 128));
}

static const struct misuse cases[] = {
    CASE(new_free, "new, free"),
    CASE(new_array_free, "new[], free"),
    CASE(malloc_delete, "malloc, delete"),
    CASE(malloc_delete_array, "malloc, delete[]"),
    CASE(calloc_delete, "calloc, delete"),
    CASE(new_array_delete, "new[], delete"),
    CASE(new_delete_array, "new, delete[]"),
    CASE(new_delete_array_large, "new, delete[], 64 KiB"),
    CASE(aligned_new_delete, "aligned new, delete without alignment"),
    CASE(new_aligned_delete, "new, delete with alignment"),
    CASE(aligned_alloc_delete, "aligned_alloc, delete"),
    CASE(memalign_delete_array, "memalign, delete[]"),
    CASE(new_realloc, "new, realloc"),
    CASE(sized_delete, "delete with half the size"),
    CASE(sized_delete_type, "delete with another type's size (1 byte, 1024)"),
    CASE(sized_delete_array, "delete[] with ten times the size"),
    CASE(sized_delete_large, "delete with half the size of 64 KiB"),
    CASE(sized_delete_aligned, "aligned delete with half the size"),
    CASE(sized_delete_alignment, "aligned delete with another alignment"),
    CASE(free_sized_less, "free_sized with half the size"),
    CASE(free_sized_more, "free_sized with ten times the size"),
    CASE(free_sized_large, "free_sized with a page more than 64 KiB"),
    CASE(free_sized_mapping, "free_sized with 64 bytes for 1 MiB"),
    CASE(free_aligned_size, "free_aligned_sized with half the size"),
    CASE(free_aligned_alignment, "free_aligned_sized with another alignment"),
};

MISUSE_MAIN
