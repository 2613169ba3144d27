/* SPDX-License-Identifier: MIT */
/*
 * Leaks that are known and shall not be told: the file that the option leaks_suppress names, in the form that LeakSanitizer
 * reads. A line is `leak:PATTERN`; empty lines and those that begin with # say nothing. A pattern is looked for in a name:
 * anywhere, * stands for any characters, ^ at its start and $ at its end for the ends of the name; ^ and $ alone are told as a
 * mistake, as are NUL bytes. Which names a frame of a
 * call stack has: suppress_frames.h.
 *
 * The file is read at the start, by calls of our own and into memory of our own. What it says wrongly is told then, in one
 * line, and so are patterns that only a symbolizer can see, where there is none. No locks: it is read before a second thread
 * runs, and looked at when the process ends.
 */
#ifndef MYALLOC_SUPPRESS_H
#define MYALLOC_SUPPRESS_H

#include "base/base.h"

/* Reads the file; an empty path is none. */
void suppress_read(const char *path);

/* True if there are patterns; if there are some that only a symbolizer can see: source files, template arguments,
 * parameters. */
bool suppress_is_on(void);
bool suppress_wants_symbolizer(void);

/* True if one of the patterns matches the name; NULL is none. */
bool suppress_is_named(const char *name);

/* True if the pattern matches the name; if it is one that only a symbolizer can see. */
bool suppress_pattern_matches(const char *pattern, size_t length, const char *name);
bool suppress_pattern_wants_symbolizer(const char *pattern, size_t length);

#endif
