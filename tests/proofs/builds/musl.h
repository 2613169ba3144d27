/* SPDX-License-Identifier: MIT */
/* For the test programs under musl, whose headers lack these. */
#include <stdio.h>

#include "../../../alloc/base/glibc.h"

struct mallinfo mallinfo(void);
struct mallinfo2 mallinfo2(void);
int malloc_info(int options, FILE *stream);
int malloc_trim(size_t pad);
void malloc_stats(void);
void *pvalloc(size_t bytes);
