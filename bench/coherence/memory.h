/* SPDX-License-Identifier: MIT */
/* One access of one core: what it takes from others, what that costs, what is counted of it. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct instruction;

void memory_access(struct core *core, struct instruction *at, uintptr_t address, size_t size, bool store);

#endif
