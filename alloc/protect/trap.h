/* SPDX-License-Identifier: MIT */
/*
 * The handler of SIGSEGV and SIGBUS that fault_report asks for: tells what an access has hit that trapped among
 * guarded or hardened blocks, and of any other that is to end the process; then hands on to what the signal led to before.
 * Nothing is installed without that option. What is said, and what it may wait for: trap_tell.h.
 *
 * It runs on the alternate stack if the thread has one (trap_stack.h).
 */
#ifndef MYALLOC_TRAP_H
#define MYALLOC_TRAP_H

#include "base/base.h"

/* Installs the handler if the option is set and blocks are guarded or hardened; from a constructor. */
void trap_start(void);

#endif
