/* SPDX-License-Identifier: MIT */
/*
 * The functions of <string.h> that slow paths alone use, under their own names: hidden, so they are the library's and nobody
 * else's. What libc has of these is found by name when a process starts, at some 500 instructions each, and a program may have
 * put its own in their place. memcpy, memset, memmove and memcmp are libc's: blocks are copied, cleared and compared by them.
 */
#include <string.h>

#include "base/base.h"

/* Kept, because link-time optimisation asks for them when it is too late; weak, because a fuzzer that is linked in has such. */
#define OWN HIDDEN __attribute__((used, weak))

OWN size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != '\0') {
        __asm__(""); /* or the compiler may take this loop for a call of strlen */
        length++;
    }
    return length;
}

static int compare(const char *a, const char *b, size_t most) {
    for (size_t i = 0; i < most; i++)
        if (a[i] != b[i] || a[i] == '\0')
            return (unsigned char)a[i] - (unsigned char)b[i];
    return 0;
}

OWN int strncmp(const char *a, const char *b, size_t most) {
    return compare(a, b, most);
}

OWN int strcmp(const char *a, const char *b) {
    return compare(a, b, SIZE_MAX);
}

OWN void *memchr(const void *at, int c, size_t bytes) {
    const unsigned char *p = at;
    for (size_t i = 0; i < bytes; i++)
        if (p[i] == (unsigned char)c)
            return (void *)(uintptr_t)&p[i];
    return NULL;
}

OWN char *strchr(const char *text, int c) {
    for (; *text != (char)c; text++)
        if (*text == '\0')
            return NULL;
    return (char *)(uintptr_t)text;
}

OWN char *strrchr(const char *text, int c) {
    for (size_t i = strlen(text) + 1; i-- > 0;)
        if (text[i] == (char)c)
            return (char *)(uintptr_t)&text[i];
    return NULL;
}

/* The length of the start of `text` whose characters are all among `set`, or with `among` false, none of them. */
static size_t span(const char *text, const char *set, bool among) {
    size_t length = 0;
    while (text[length] != '\0' && (strchr(set, text[length]) != NULL) == among)
        length++;
    return length;
}

OWN size_t strspn(const char *text, const char *set) {
    return span(text, set, true);
}

OWN size_t strcspn(const char *text, const char *set) {
    return span(text, set, false);
}

OWN char *strpbrk(const char *text, const char *set) {
    const char *at = text + strcspn(text, set);
    return *at != '\0' ? (char *)(uintptr_t)at : NULL;
}
