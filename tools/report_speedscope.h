/* SPDX-License-Identifier: MIT */
/* The file format of speedscope: a sampled profile of each kind, of which the one that is asked for is shown first; each call
   stack is a sample, the outermost frame first, and weighs as many bytes as it has. */
#ifndef TOOLS_REPORT_SPEEDSCOPE_H
#define TOOLS_REPORT_SPEEDSCOPE_H

#include <stdio.h>

#include "stacks.h"

/* `of`: what it is about, one line. */
void report_speedscope(FILE *out, const struct stacks *stacks, enum heap_kind kind, const char *of);

#endif
