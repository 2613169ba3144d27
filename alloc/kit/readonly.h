/* SPDX-License-Identifier: MIT */
/*
 * Read-only state: variables that steer the allocator, and that a program's stray write or an attacker must not change under
 * protect:paranoid. Each lies on pages of its own, among ordinary data and apart from what the loader makes read-only (RELRO):
 * there lie pointers to functions that are called, so those pages are never opened.
 *
 * Without protect:paranoid the pages stay writable. Under it they are closed at the end of the start, and from then on open
 * only while a writer is at them: it calls readonly_open before and readonly_shut after. Two writers of one variable do not
 * meet: the tunables and the action are written under LOCK_MAPPED, all else before a second thread runs.
 */
#ifndef MYALLOC_READONLY_H
#define MYALLOC_READONLY_H

#include "base/base.h"

/* A variable's definition: READONLY_PAGES(type, name) = {value}; It is a structure that is aligned to pages and so fills them,
 * and known as name_pages.value; READONLY_NAME gives it the name by which others know it. */
#define READONLY_PAGES(type, name)                                                                                     \
    static struct {                                                                                                    \
        type value;                                                                                                    \
    } __attribute__((aligned(OS_PAGE_MOST))) name##_pages __attribute__((section("myalloc_readonly"), used))
#define READONLY_NAME(type, name) extern type name __attribute__((alias(#name "_pages")))

/* Makes the pages of a variable writable, until readonly_shut. False if the OS refuses. */
bool readonly_open(void *variable, size_t bytes);
void readonly_shut(void *variable, size_t bytes);

/* Closes all of them. If the OS refuses, they can still be written. */
void readonly_close(void);

#endif
