/* SPDX-License-Identifier: MIT */
/* A recording made of a log of mtrace(3), as glibc writes it and this library does. */
#ifndef TOOLS_FROM_MTRACE_H
#define TOOLS_FROM_MTRACE_H

/* Says what is wrong, as `myalloc record`, and returns the exit status. */
int from_mtrace(const char *path, const char *out);

#endif
