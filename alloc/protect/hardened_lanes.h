/* SPDX-License-Identifier: MIT */
/*
 * Addresses for hardened blocks on pages of their own (hardened_mapped.h), at a place where nothing else is (os_place). A lane
 * is so much of it for blocks up to a size, cut into slots: of 8 MiB in the first lane, of twice as much in each next one. A
 * block takes a random slot, and lies at least LANE_GUARD from its start and from its end. Nothing else is ever mapped in a
 * slot: so what cannot be touched around a block, and where a freed one was, takes no mapping and none of the address space
 * that RLIMIT_AS counts.
 *
 * P7 a slot is marked as taken from lanes_take to lanes_give; `used` of each lane is the number of those.
 *
 * Lock: the caller's, for all but lanes_own and lanes_start.
 */
#ifndef MYALLOC_HARDENED_LANES_H
#define MYALLOC_HARDENED_LANES_H

#include "base/base.h"
#include "kit/random.h"

#define LANE_GUARD (2 * MIB)  /* so wide that a write a MiB off lands in it */
#define LANE_SLACK (64 * KIB) /* of a slot, beside what is asked for and two guards: room for a random shift */
#define LANE_FIRST (8 * MIB)

/* Chooses the place. Where the address space has none, there are no slots. */
void lanes_start(void);

/* A random slot that has room for `bytes`, two guards and LANE_SLACK; *slot_bytes is its length. NULL if there is none, or
 * three quarters of its lane are taken. */
char *lanes_take(size_t bytes, struct random *random, size_t *slot_bytes);

/* Gives back the slot that starts at `slot`. */
void lanes_give(const char *slot);

/* True if the address lies in a lane. */
bool lanes_own(const void *p);

/* Whether P7 holds. *taken is the number of slots in all lanes that are. */
bool lanes_verify(size_t *taken);

#endif
