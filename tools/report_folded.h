/* SPDX-License-Identifier: MIT */
/* Folded stacks, as flamegraph.pl reads them: a line for each call stack, "main;f;g BYTES", the outermost first; of two
   profiles "main;f;g BEFORE NOW". */
#ifndef TOOLS_REPORT_FOLDED_H
#define TOOLS_REPORT_FOLDED_H

#include <stdio.h>

#include "stacks.h"

void report_folded(FILE *out, const struct stacks *stacks, enum heap_kind kind, bool is_change);

#endif
