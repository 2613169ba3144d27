/* SPDX-License-Identifier: MIT */
/* A recording made of a file of heaptrack: as heaptrack_interpret has made it, or raw, of formats 1 to 3, compressed or not. */
#ifndef TOOLS_FROM_HEAPTRACK_H
#define TOOLS_FROM_HEAPTRACK_H

/* Says what is wrong, as `myalloc record`, and returns the exit status. */
int from_heaptrack(const char *path, const char *out);

#endif
