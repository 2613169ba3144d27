/* SPDX-License-Identifier: MIT */
/*
 * Which frames of call stacks a pattern of the suppressions names (suppress.h). A frame has these names:
 *
 * - its function as the linker has it, and of C++ as the source has it without template arguments and parameters
 *   (callers/demangle.h); the path of its module;
 * - where there is a symbolizer, what that says of it: the function in full, those that were inlined there, and the paths of
 *   their source files.
 *
 * Stacks have most frames in common. So they are added first, each address is asked about once, all together where a process of
 * its own is asked, and then each stack is looked at. A frame for which no memory was left is asked about when its stack is
 * looked at, without the symbolizer.
 *
 * No locks: only the thread that ends the process is here. Asks the loader for names (callers/backtrace.h): holds no lock.
 */
#ifndef MYALLOC_SUPPRESS_FRAMES_H
#define MYALLOC_SUPPRESS_FRAMES_H

#include "base/base.h"

/* Adds a stack's frames. */
void suppress_frames_add(void *const *frames, unsigned count);

/* Asks the symbolizer about all of them; once, after the last was added. */
void suppress_frames_symbolize(void);

/* True if a pattern names a frame of the stack. */
bool suppress_frames_match(void *const *frames, unsigned count);

/* Gives the memory back. */
void suppress_frames_forget(void);

#endif
