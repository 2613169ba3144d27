/* SPDX-License-Identifier: MIT */
/*
 * What the commands of the mailbox do (observe/mailbox.h), but for that of the helper, which background.h answers. Each is done
 * by the functions that the program itself has for it: mallopt, malloc_trim, myalloc_check_heap and others.
 *
 * A command can only do what the process may do to itself: it raises protection, never lowers it, and no path, address or
 * length comes from outside. It runs in whatever thread comes by, in the middle of a malloc or a free, with no lock held.
 */
#ifndef MYALLOC_CONTROL_H
#define MYALLOC_CONTROL_H

#include "base/base.h"
#include "observe/letters.h"

/* False where this thread must do nothing but its own call: it is served apart, in a handler of fork, or in a signal's handler
 * that interrupted the allocator; or the process has not begun yet. */
bool control_may_act(void);

/* True if the caller of the allocator is code of libc or of the loader, which may hold locks of its own, or is not known. */
bool control_is_for_libc(void);

/* Takes the letter, does what it says and answers it. */
void control_do(const struct mailbox_letter *letter);

/* malloc_trim, for a thread that is not served apart. */
size_t control_trim(size_t pad);

#endif
