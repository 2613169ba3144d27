/* SPDX-License-Identifier: MIT */
/* System calls: what they mean for turns, clocks and the directory, and which answers are made the same in each run: the time
 * is the core's clock, random bytes come from the seed, and the machine has as many processors as the options say. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <stdint.h>

struct core;

void system_start(uint64_t seed, unsigned processors, void (*at_exit)(void));
void system_called(struct core *core, int64_t number, const uint64_t arguments[6]);
void system_returned(struct core *core, int64_t number, int64_t result);

/* The futex that the kernel is to wake when the thread has ended that is being created; 0 if there is none. */
uintptr_t system_end_word(void);

#endif
