/* SPDX-License-Identifier: MIT */
/*
 * The program and its libraries as the loader has them in memory: the names that each defines for others and wants from others
 * (its dynamic symbols). Read from the modules' own tables and not asked of the loader (dlsym), which holds a lock of its own
 * while constructors run, and they may wait for this thread. The list of modules is walked under a lock that the loader holds
 * only while it changes the list. A static program has no such names; nothing is found there.
 */
#ifndef MYALLOC_MODULES_H
#define MYALLOC_MODULES_H

#include "base/base.h"

/* The address of what the first module defines under this name that does, in the order in which the loader looks: of the
 * modules before the one that `own` lies in, or of all if that is NULL. NULL if none does. */
void *modules_find_before(const void *own, const char *name);

/* True if the module that `code` lies in is C++'s and has operators new and delete of its own, out of sight: it has mangled
 * names among its symbols, but wants no form of either operator from another module. So are libraries linked with
 * -static-libstdc++ whose symbols are hidden. */
bool modules_hides_operators(const void *code);

#endif
