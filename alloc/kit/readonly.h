/* SPDX-License-Identifier: MIT */
/*
 * Read-only state: variables that steer the allocator, and that a program's stray write or an attacker must not change under
 * protect:paranoid. They lie among the data that the loader makes read-only once it has relocated the library (RELRO), so that
 * they cost no page of their own. Whoever writes one opens its pages first, and they stay open; under protect:paranoid all are
 * closed for good at the end of the start, and cannot be opened again.
 */
#ifndef MYALLOC_READONLY_H
#define MYALLOC_READONLY_H

#include "base/base.h"

#define READONLY __attribute__((section(".data.rel.ro.readonly")))

/* Makes the pages of a READONLY variable writable. False if it is closed, or the OS refuses. */
bool readonly_open(void *variable, size_t bytes);

/* Closes all of them, for good. In a static program that was linked without -z relro, or if the OS refuses, the variables can
 * still be written; readonly_open returns false all the same. */
void readonly_close(void);

#endif
