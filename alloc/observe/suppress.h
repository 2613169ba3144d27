/* SPDX-License-Identifier: MIT */
/*
 * Leaks that are known and shall not be told: the file that the option leaks_suppress names, in the form that LeakSanitizer
 * reads. A line is `leak:PATTERN`; empty lines and those that begin with # say nothing. A pattern is looked for in the names of
 * functions (C++ names mangled) and in the paths of modules of an allocation's call stack: anywhere in the name, * stands for
 * any characters, ^ at its start and $ at its end for the ends of the name.
 *
 * The file is read at the start, by calls of our own and into memory of our own. What it says wrongly is told then, in one
 * line. No locks: it is read before a second thread runs, and looked at when the process ends.
 */
#ifndef MYALLOC_SUPPRESS_H
#define MYALLOC_SUPPRESS_H

#include "base/base.h"

/* Reads the file; an empty path is none. */
void suppress_read(const char *path);

/* True if a pattern matches a frame of the stack. Asks the loader for names (callers/backtrace.h): holds no lock. */
bool suppress_matches(void *const *frames, unsigned count);

/* True if the pattern matches the name. */
bool suppress_pattern_matches(const char *pattern, size_t length, const char *name);

#endif
