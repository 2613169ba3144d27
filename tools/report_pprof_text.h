/* SPDX-License-Identifier: MIT */
/* A heap profile as the text that pprof calls heap_v2: a line for each call stack, call and size class, of samples, from which
   readers estimate by the interval in the first line what these stand for. They come to the bytes that the other forms have but
   for rounding, and to their objects but for a hundredth. The interval is one by which they do, and samples are as many as that
   takes. */
#ifndef TOOLS_REPORT_PPROF_TEXT_H
#define TOOLS_REPORT_PPROF_TEXT_H

#include <stdio.h>

#include "samples.h"

/* `kind`: what stands for live memory; what was allocated in all stands beside it. */
void report_pprof_text(FILE *out, const struct samples *samples, enum heap_kind kind);

#endif
