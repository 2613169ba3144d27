/* SPDX-License-Identifier: MIT */
/*
 * The end of the process by a signal: SIGTERM, SIGINT, SIGHUP, or SIGABRT of abort(3). What is told at exit is told then, too,
 * if the option at_signals asks for it: the checks' last look, the leak report, statistics. The handler then hands on to what
 * the signal led to before, mostly the default, which ends the process.
 *
 * A signal that is ignored at the start (nohup) stays ignored. A program that sets a handler of its own keeps it, and ours is
 * never called. A signal that has interrupted its thread in the allocator finds structures half changed: then nothing is
 * looked at, and that is told. Other threads go on meanwhile; what they hold is waited for.
 */
#ifndef MYALLOC_END_SIGNALS_H
#define MYALLOC_END_SIGNALS_H

#include "base/base.h"

/* Installs the handler, if the option is set; at the start. `tell` is what there is to say at the end. */
void end_signals_arrange(void (*tell)(void));

#endif
