/* SPDX-License-Identifier: MIT */
/*
 * The heap profile: who allocated what is live, and what was ever allocated, from a sample of all allocations. One byte in
 * about profile_interval is sampled, and with it its block; the block's call stack is recorded, and what it stands for, so that
 * sums are right on average whatever the sizes are: an allocation of S bytes is sampled with the chance 1 - exp(-S / interval),
 * and stands for the inverse of that (heap/cache_counted.h). Blocks of 16 intervals and more are all recorded, as they are.
 *
 * Sampled small blocks lie in slabs (heap/slab.h), whose frees come to a slow path by themselves; so do those of larger ones.
 * While a mode is on that has protected blocks in place of all plain ones, they lie where that puts them. A block keeps its
 * record when realloc leaves it as large as it is; else that is a free and an allocation.
 *
 * While it is on, tracers may listen to samples and their frees by the probes otel_memory:alloc and :free (kit/probe.h). A
 * listener alone switches nothing on: no call would know of it without an instruction more.
 *
 * It can be switched on and off at any time. Records of what is live stay when it is switched off, and go as their blocks do.
 */
#ifndef MYALLOC_PROFILE_H
#define MYALLOC_PROFILE_H

#include "base/base.h"
#include "observe/profile_table.h"

#define PROFILE_INTERVAL_MOST (1024 * MIB)

/* One byte in about `interval`, 1 to PROFILE_INTERVAL_MOST, is sampled from now on; with a seed of 0 by numbers that differ
 * each time. Caller holds no lock. */
void profile_on(size_t interval, uint64_t seed);

/* The interval in force, or that of the last samples; 0 if there were none. */
size_t profile_interval(void);

/* Whether allocations are sampled. */
bool profile_is_on(void);

/* Nothing is sampled from now on. */
void profile_off(void);

/* front_watched.c calls these while MODE_PROFILE is on, under no lock of the allocator. */

/* Counts an allocation that is being made. 0 if it is no sample, else what it stands for. */
uint64_t profile_due(size_t bytes, size_t align);

/* A block for a sample, in a slab. NULL if it is too large for that, or if memory is refused. */
void *profile_alloc(size_t bytes, size_t align);

/* Records a sample, after it has been allocated. Not one whose free would not be seen. */
void profile_allocated(const void *p, size_t bytes, uint64_t weight, const char *call);

/* Takes the record of a block away, before it is free: true if there was one. */
bool profile_freeing(const void *p);

/* The same before it is resized; and after it has been: `same` says that it is where it was and as large; p is NULL if that was
 * refused. Only then is it known whether a listener is to be told of a free (kit/probe.h): if another thread has got the
 * addresses meanwhile that the kernel has moved a block away from, the listener takes that for the end of the other's block. */
struct profile_record profile_resizing(const void *p);
void profile_resized(const struct profile_record *was, const void *p, size_t bytes, bool same, const char *call);

#endif
