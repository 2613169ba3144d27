/* SPDX-License-Identifier: MIT */
/* Texts of any bytes as UTF-8: names of functions and files, and tags, may be in another code. */
#ifndef TOOLS_UTF8_H
#define TOOLS_UTF8_H

#include <stddef.h>

/* The length of the character of UTF-8 at `text`, 0 if it is none: too long a form, a surrogate, too large a number. */
size_t utf8_character(const char *text);

/* A copy in which each byte that is no part of a character is U+FFFD. */
char *utf8_copy(const char *text);

#endif
