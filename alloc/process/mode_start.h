/* SPDX-License-Identifier: MIT */
/* The modes that the environment asks for: which, in what order they begin, and what one that cannot begin is replaced by. */
#ifndef MYALLOC_MODE_START_H
#define MYALLOC_MODE_START_H

/* Switches on what the environment asks for, once it can be read; until then does nothing and MODE_START stays on. The first
 * call that finds MODE_START on makes it, with no lock of the allocator held. */
void mode_start(void);

#endif
