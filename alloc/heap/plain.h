/* SPDX-License-Identifier: MIT */
/*
 * The plain allocation: blocks of every kind as they come from this folder, seen by no mode. What malloc and free mean while
 * no mode is on is this, around the fast paths (front.h); while one is on, front_watched.c puts the modes around it.
 *
 * A block is small (a slice of a span of its size class), large (a span of its own) or mapped (a mapping of its own); whoever
 * calls here does not ask which. Failure is NULL with ENOMEM in errno, and nothing else changed. Takes locks inside; the
 * caller holds none. `call` names the function that the program called, for messages.
 */
#ifndef MYALLOC_PLAIN_H
#define MYALLOC_PLAIN_H

#include "base/base.h"
#include "heap/span.h"

/* A block of `bytes` > 0 aligned to `align`, a power of two. *zeroed tells if it holds nothing but zeros. When the OS refuses,
 * what lies unused in lists is brought together and the request tried once more. */
void *plain_alloc(size_t bytes, size_t align, bool *zeroed);

/* Frees a block of any kind; reports what is none. */
void plain_free(void *p, const char *call);

/* What is wrong with a call for an address at which no live block starts, in words, by what is known of it. `frees`: the call
 * frees. The other reports it, and may return (report_bad_call). */
COLD const char *plain_missing(const void *p, bool frees);
COLD void plain_report_missing(const void *p, const char *call, bool frees);

/* Frees a small block of that class whose list is full or that has the mark of a free block; a double free is reported.
 * `counted`: the fast path has already counted the block as one more on the list. */
void plain_free_small_slow(void *p, unsigned class, const char *call, bool counted);

/* Bytes of the block that starts at `p`; 0 if none does. */
size_t plain_usable(const void *p);

/* Resizes a large or mapped block without copying it; it may move. NULL if it is neither or that cannot be done, nothing has
 * changed then, errno included. */
void *plain_resize(void *p, size_t bytes);

/* The start of the block that `p` lies in; NULL if that cannot be told: not ours, or beyond the first unit of a large or
 * behind the start of a mapped block. */
void *plain_start(const void *p);

/* The class of the small block that starts at `p` where the unit map does not show it (mode_switch.h) or does not reach; 0 if
 * there is none. */
unsigned plain_class(const void *p);

/* The span of the large block that starts at `p`, or NULL. */
struct span *plain_large_span(const void *p);

/* Gives what this thread and the central lists hold back to the spans, and all free memory but `pad` bytes to the OS. Returns
 * the bytes the OS got. */
size_t plain_trim(size_t pad);

/* NULL, with ENOMEM in errno: the one place where errno is set. */
COLD void *plain_no_memory(void);

/* `p`, with errno as it was before the last plain_no_memory of this thread: a smaller place was refused to a block, so it
 * stays where it is, and the call has succeeded. */
COLD void *plain_stay(void *p);

#endif
