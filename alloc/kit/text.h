/* SPDX-License-Identifier: MIT */
/*
 * Formatting without allocation, locale or stdio: messages are written when the heap is broken, in signal handlers and before
 * libc is set up, where snprintf may not be called. Formats know %s string (NULL is shown as "(null)"), %p pointer, %z size_t,
 * %d int and %%, without widths.
 */
#ifndef MYALLOC_TEXT_H
#define MYALLOC_TEXT_H

#include <stdarg.h>

#include "base/base.h"

/* Formats into `out`, which has `room` bytes, at least 1, and is always NUL-terminated; what does not fit is cut off. Returns
 * the length written. */
size_t text_format(char *out, size_t room, const char *format, ...);
size_t text_vformat(char *out, size_t room, const char *format, va_list arguments);

/* A text that grows by pieces and may be longer than its room: what does not fit is only counted, as snprintf does. Starts as
 * {out, room, 0}; `out` is not NUL-terminated. */
struct text {
    char *out;
    size_t room, length; /* of all pieces, also of what did not fit; the last byte of the room stays free for a NUL */
};

/* Appends a piece of at most 255 characters; the rest of a longer one is lost. */
void text_add(struct text *text, const char *format, ...);

#endif
