/* SPDX-License-Identifier: MIT */
/* What is told of the resident memory of a process, and what to do about it, in words. */
#ifndef TOOLS_WHY_ADVICE_H
#define TOOLS_WHY_ADVICE_H

#include "heap_sites.h"

/* All that `myalloc why` has found. */
struct why {
    struct heap_view *view;
    struct heap_parts *parts;
    struct heap_sites *sites;
};

/* A paragraph, to be freed: what stands out, the command that helps now, the option that helps from the start. */
char *why_advice(const struct why *why);

/* What of the nth part, in the order of resident.def, `myalloc ctl PID trim` brings back: exactly that, or up to that. */
uint64_t why_back(const struct heap_parts *parts, size_t n, bool *is_most);

/* What of a class is not in blocks in use. */
uint64_t why_waste(const struct class_parts *class);

/* The function of the program that a call site is in, as people know it. */
const char *why_function(const struct sample *sample);

#endif
