/* SPDX-License-Identifier: MIT */
/*
 * Hardened blocks of up to HARDENED_SMALL_MOST bytes. Each size class has a range of address space of its own, with a
 * random base, at a place where nothing else is (os_place). A range is cut into slabs. Every second slab is reserved and
 * committed when blocks need it, which is called open here, and holds slots of the class; nothing is mapped between, so that no
 * run of writes gets from slab to slab. (Once half of the mappings that a process may have are in use, slabs lie side by side.
 * Where the kernel does not map at an address that is asked for, all ranges are one reservation.) A block takes a random free
 * slot:
 *
 *     | gap: canary | the program's bytes, exactly what it asked for | canary, SLOT_CANARY bytes at least | slot 1 ...
 *
 * What is known of a slot is in a record far away, with nothing mapped beside. Where the ranges, the records and the secrets
 * are is read-only after the start. A freed slot is zeroed, waits in its class's quarantine, and is looked at when it leaves it
 * and when it is used again. Its last bytes keep a canary, so that a write before its neighbour's start is seen. Class 0 is for
 * blocks of no bytes: its slabs are never opened.
 *
 * P4 slots that are HELD or FREED are zero, canaries are what was written, or the program wrote there.
 *
 * Locks: one a class, LOCK_HARDENED; slabs are opened and retired under it. Memory refused changes nothing.
 */
#ifndef MYALLOC_HARDENED_SMALL_H
#define MYALLOC_HARDENED_SMALL_H

#include "base/base.h"
#include "base/sizeclass.h"
#include "protect/protection.h"

#define SLOT_CANARY 8
#define HARDENED_SMALL_MOST (SMALL_MAX - SLOT_CANARY)

extern HIDDEN const struct protection hardened_small_protection;

#endif
