/* SPDX-License-Identifier: MIT */
/*
 * What is told of an access that the processor refused. One thread tells at a time. It waits for no lock of the allocator; the
 * names of functions come from the loader, whose lock it may wait for, so that another thread waits for its turn for a while
 * only: that one may have the lock.
 */
#ifndef MYALLOC_TRAP_TELL_H
#define MYALLOC_TRAP_TELL_H

#include <signal.h>

#include "protect/protection.h"

/* What faulted, as the signal's handler got it. */
struct access {
    const char *p;
    enum arch_access kind;
    size_t bytes; /* 0: not known */
    int number;   /* of the signal */
    siginfo_t *info;
    void *context;
};

/* Tells of it: `block` and the row whose it is, or no row where it was near none. Returns NULL. If this thread is telling
 * already, so that the report itself has faulted: writes what there was of it, and returns what it was about. */
const struct access *trap_tell(const struct protection *row, const struct fault_block *block, const struct access *access);

/* True if this thread is telling. */
bool trap_is_telling(void);

#endif
