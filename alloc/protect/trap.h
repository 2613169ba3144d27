/* SPDX-License-Identifier: MIT */
/*
 * The handler of SIGSEGV and SIGBUS that fault_report asks for: tells what an access has hit that trapped among
 * guarded or hardened blocks, then hands on to what the signal led to before. Nothing is installed without that option.
 *
 * It runs on the alternate stack if the thread has one. It allocates nothing, and waits for no lock of the allocator. The
 * names of functions come from the loader, whose lock it may wait for; a thread that faults while it holds that lock itself
 * gets through.
 */
#ifndef MYALLOC_TRAP_H
#define MYALLOC_TRAP_H

#include "base/base.h"

/* Installs the handler if the option is set and blocks are guarded or hardened; from a constructor. */
void trap_start(void);

#endif
