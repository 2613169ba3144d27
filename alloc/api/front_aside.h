/* SPDX-License-Identifier: MIT */
/* What a thread that is served apart (heap/aside.h) gets from each function. Nothing here waits for another thread in
 * pthread_atfork, nor for what this thread itself holds. */
#ifndef MYALLOC_FRONT_ASIDE_H
#define MYALLOC_FRONT_ASIDE_H

#include "base/base.h"

/* A block that is zero. NULL with ENOMEM. */
void *front_aside_alloc(size_t bytes, size_t align);

/* The block copied, and the old one left as it is. NULL with ENOMEM also if its length cannot be told. */
void *front_aside_realloc(void *p, size_t bytes);

/* Bytes of a block; 0 if that cannot be told: with a protection on, or while this thread holds the lock of the mapped
 * blocks. */
size_t front_aside_usable(const void *p);

#endif
