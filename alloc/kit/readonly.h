/* SPDX-License-Identifier: MIT */
/*
 * State that steers the allocator and that nothing may change under protect:paranoid. It lies among the data that
 * the loader makes read-only once it has relocated the library, which costs no page of its own. A writer opens it first.
 * Under protect:paranoid it is closed for good at the end of the start; under the other levels what was opened stays so.
 */
#ifndef MYALLOC_READONLY_H
#define MYALLOC_READONLY_H

#include "base/base.h"

#define READONLY __attribute__((section(".data.rel.ro.readonly")))

/* Makes the pages of a READONLY variable writable. False if it is closed, or the OS refuses. */
bool readonly_open(void *variable, size_t bytes);

/* Closes all of them, for good. Where they can still be written, because the program was linked without -z relro or the OS
 * refuses, readonly_open returns false all the same. */
void readonly_close(void);

#endif
