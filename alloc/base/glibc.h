/* SPDX-License-Identifier: MIT */
/*
 * What glibc's headers declare and musl's do not: where the library is built with musl, the declarations here take their place.
 * For some of it musl has nothing of the kind: dladdr1 is then NULL.
 */
#ifndef MYALLOC_GLIBC_H
#define MYALLOC_GLIBC_H

#include <dlfcn.h>
#include <malloc.h>
#include <string.h>

#ifdef __GLIBC__
#include <mcheck.h>
#include <sys/single_threaded.h>
#define IS_GLIBC 1
#define error_description strerrordesc_np
#else

#define IS_GLIBC 0
#define error_description strerror /* which allocates nothing in musl */
#define __libc_single_threaded 0   /* unknown, so it must be assumed that there are threads */

#define RTLD_DL_LINKMAP 2
int dladdr1(const void *address, Dl_info *info, void **extra, int flags) __attribute__((weak));

/* mallopt(3), mallinfo(3) and mcheck(3) */
enum { M_MXFAST = 1, M_TRIM_THRESHOLD = -1, M_TOP_PAD = -2, M_MMAP_THRESHOLD = -3, M_MMAP_MAX = -4, M_CHECK_ACTION = -5,
       M_PERTURB = -6, M_ARENA_TEST = -7, M_ARENA_MAX = -8 };
int mallopt(int parameter, int value);

struct mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
struct mallinfo2 {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

enum mcheck_status { MCHECK_DISABLED = -1, MCHECK_OK, MCHECK_FREE, MCHECK_HEAD, MCHECK_TAIL };

#endif
#endif
