/* SPDX-License-Identifier: MIT */
/*
 * C++ names as the source has them: `_ZN2ns5CacheIiE4loadERKS1_` is ns::Cache::load. Template arguments and parameters are read
 * over and not written, for they alone need a memory of what was read before (substitutions); so this takes one pass, no
 * memory and a bounded stack. For people the report's reader demangles in full (`myalloc symbolize`); this is what patterns are
 * compared with.
 *
 * Names may be cut off or wrong in any way: what is written is as much as was understood. The grammar is that of the Itanium
 * C++ ABI, 5.1; expressions in template arguments are not understood, and a name ends there.
 */
#ifndef MYALLOC_DEMANGLE_H
#define MYALLOC_DEMANGLE_H

#include "base/base.h"

/* The qualified name of a function that the linker knows as `mangled`: in `out`, cut to room - 1 characters. False, `out`
 * empty, if it is no C++ name. Lambdas are {lambda}, other types without a name {unnamed}. */
bool demangle_name(const char *mangled, char *out, size_t room);

#endif
