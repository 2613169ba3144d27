/* SPDX-License-Identifier: MIT */
/* Runs the calls of an input against a shadow model of what the allocator promises. A difference ends the process by
 * SIGABRT, after a line on standard error that names the call. */
#ifndef TESTS_FUZZ_CALLS_H
#define TESTS_FUZZ_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool calls_shown; /* each call is printed to standard output when it is made, and what it returned */

void calls_run(const uint8_t *data, size_t size);

#endif
