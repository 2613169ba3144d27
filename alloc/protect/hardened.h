/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks: where every block comes from under protect:paranoid, but for those on guarded pages and the
 * few from before the environment could be read. hardened_small.h has blocks of up to 32 KiB, hardened_mapped.h larger ones and
 * those for which their class's range is full.
 */
#ifndef MYALLOC_HARDENED_H
#define MYALLOC_HARDENED_H

#include "base/base.h"
#include "kit/lock.h"

/* Sets up both, once, from mode_start. False if the OS refuses, which is said. */
bool hardened_start(void);

extern HIDDEN const struct lock_set hardened_locks;

#endif
