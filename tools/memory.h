/* SPDX-License-Identifier: MIT */
/* Memory for a command that can do nothing without it: where it is refused, the command says so and ends. */
#ifndef TOOLS_MEMORY_H
#define TOOLS_MEMORY_H

#include <stddef.h>

/* Says that there is none, and ends the command with status 1. */
_Noreturn void memory_fail(void);

/* Zeroed; free() gives it back. */
void *memory_new(size_t bytes);

/* The first `length` characters as a string. */
char *memory_copy(const char *text, size_t length);

/* An array with room for at least one more than `count` elements: `array`, or a larger one in its place. */
void *memory_room(void *array, size_t count, size_t *room, size_t element);

/* "%s+0x%x" and the like, as long as it gets. */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
