/* SPDX-License-Identifier: MIT */
/*
 * What the slow parts of front.h turn to while a mode is on: each mode does its part around the plain allocation. Arguments
 * and results are those of their namesakes in front.h; `bytes` may be 0, `call` names the function that the program called.
 */
#ifndef MYALLOC_FRONT_WATCHED_H
#define MYALLOC_FRONT_WATCHED_H

#include "base/base.h"

/* A plain block, for which what protections hold without blocks is given back if need be. */
void *front_watched_plain(size_t bytes, size_t align, bool *zeroed);

void *front_watched_alloc(size_t bytes, size_t align, bool *zeroed, const char *call);
void front_watched_free(void *p, const char *call, size_t bytes, size_t align);
void *front_watched_realloc(void *p, size_t bytes, const char *call);
size_t front_watched_usable(const void *p, const char *call);

#endif
