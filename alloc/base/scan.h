/* SPDX-License-Identifier: MIT */
/*
 * Numbers and variables read from text: options, files of /proc and of control groups, the environment. strtoul and getenv
 * would do for most of it, but the first call may come before libc is set up, and strtoul follows the program's locale.
 */
#ifndef MYALLOC_SCAN_H
#define MYALLOC_SCAN_H

#include <string.h>

#include "base/base.h"

/* What a character counts as a digit, up to 15 for f and F; 99 if it is none. */
static inline unsigned scan_digit(char c) {
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a' + 10) : 99;
}

/* Reads digits of the radix (up to 16) from the start of `length` characters, or up to a NUL. Returns how many it has read:
 * all there are, but for those with which the number would not fit a size_t. *number is 0 if there is none. */
static inline size_t scan_number(const char *text, size_t length, unsigned radix, size_t *number) {
    size_t at = 0, longer;
    *number = 0;
    for (; at < length && scan_digit(text[at]) < radix; at++) {
        if (__builtin_mul_overflow(*number, (size_t)radix, &longer) ||
            __builtin_add_overflow(longer, (size_t)scan_digit(text[at]), &longer))
            break;
        *number = longer;
    }
    return at;
}

/* The value of a variable in a list of NAME=VALUE that ends with NULL, as the environment is one. NULL if it is not there, or
 * if the list itself is NULL. Of several the first counts, as with getenv. */
static inline const char *scan_variable(char *const *variables, const char *name) {
    size_t length = strlen(name);
    for (; variables != NULL && *variables != NULL; variables++)
        if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
            return *variables + length + 1;
    return NULL;
}

#endif
