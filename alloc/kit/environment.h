/* SPDX-License-Identifier: MIT */
/*
 * The tunables as the environment gives them. In rising precedence: the defaults, glibc's older environment variables
 * (MALLOC_TOP_PAD_, …), GLIBC_TUNABLES=glibc.malloc.NAME=VALUE:…, MYALLOC_OPTIONS=NAME:VALUE,…, and later mallopt. Within a
 * variable the last one counts. A value in MYALLOC_OPTIONS may stand between quotes, ' or ", and then have commas. What
 * cannot be understood is named in one line each, at most COMPLAINTS_MAX, and skipped.
 */
#ifndef MYALLOC_ENVIRONMENT_H
#define MYALLOC_ENVIRONMENT_H

#include <stdatomic.h>

#include "base/base.h"
#include "kit/lock.h"
#include "kit/tunables.h"

#define COMPLAINTS_MAX 8

/* Applies the variables (NULL-terminated, each NAME=VALUE) to `into`. `complain`, if not NULL, gets each complaint: one
 * line without its end, at most 400 printable characters. */
void environment_apply(char *const *variables, struct tunables *into, void (*complain)(const char *line));

/* The value of a variable as it is now, NULL if it is not set; NULL under AT_SECURE, too. */
const char *environment_variable(const char *name);

/* Until one thread has read all, and begins to set the tunables; while it does so; once all are set. */
enum environment_state { ENVIRONMENT_UNREAD, ENVIRONMENT_BEING_SET, ENVIRONMENT_READ };
extern HIDDEN _Atomic int environment_state;
extern HIDDEN const struct lock_set environment_locks;

void environment_read_slow(void);

/* Sets the tunables from the environment, once; under AT_SECURE none. Every way into the allocator that reads a tunable calls
 * this first, because the first block may be asked for before any constructor of the library has run. Never waits: a second
 * thread or a signal handler that comes while the environment is being read reads it, too, and the first to be done sets the
 * tunables. Who comes while they are being set finds them as they are by default, as before. */
static inline void environment_read(void) {
    if (UNLIKELY(atomic_load_explicit(&environment_state, memory_order_acquire) != ENVIRONMENT_READ))
        environment_read_slow();
}

#endif
