/* SPDX-License-Identifier: MIT */
/*
 * Where every resident page of the process is, counted when asked: the memory that it really has, while stats.h counts
 * addresses. The parts, and the words for them, are the rows of resident.def.
 *
 * B1 the parts that are the allocator's, all but `others`, are together `total`: what the kernel says has memory of the heap,
 *    of mappings, of guarded and hardened pages and of own data.
 * B2 total + others = rss, wherever rss is known and no other thread touches memory meanwhile.
 *
 * How exact: pages are counted as the kernel tells them (os_pages_open), the bytes of blocks in them by the bits of blocks at
 * home. Of the blocks of a class that are not at home it is known how many are live, on lists or between threads, but not which
 * of them lie in resident pages: each has its share of the class's bytes. What the program asked for is known only where every
 * call is seen: under `leaks` and `check`; `rounding` is then what their blocks are longer, in the same shares, and else it is
 * a part of live. (To note or sample sizes in between would cost each allocation, or at least those that sample; a program that
 * wants to know runs once with leaks:2.)
 *
 * The library's own code and variables are others', as those of all libraries. Locks: those of stats.h, one after another; the
 * caller holds none. Files of /proc are read.
 */
#ifndef MYALLOC_RESIDENT_H
#define MYALLOC_RESIDENT_H

#include "base/base.h"
#include "kit/text.h"
#include "observe/stats.h"

struct resident {
#define PART(name, words, advice) size_t name;
#include "observe/resident.def"
#undef PART
    size_t total;           /* the parts but others */
    size_t returned;        /* taken and without memory: given back to the OS, or never touched */
    size_t huge;            /* of the heap and of mappings, in huge pages */
    size_t trim;            /* what malloc_trim(0), called now by this thread, would give back */
    size_t rss, pss, anonymous, swap; /* of the whole process, as the kernel says; SIZE_MAX if it does not */
    bool rounding_known;    /* else it is 0, and in live */
    bool trim_is_least;     /* it may be more: memory for the question was refused */
    bool by_pagemap;        /* else by mincore: pages that were only read count, too, and huge is not known */
    bool refused;           /* the OS did not answer for all addresses */
};

/* Counts all anew; `stats` are those of a moment ago. All 0 where the allocator was interrupted (heap/aside.h). */
void resident_read(struct resident *resident, const struct stats *stats);

/* The nth part, in the order of resident.def: its name, NULL behind the last, and its bytes. */
const char *resident_part(const struct resident *resident, size_t n, size_t *bytes);

/* Adds the objects "resident" and "process" to a JSON text, and the table to a text for people. */
void resident_add_json(struct text *text, const struct resident *resident);
void resident_add_table(struct text *text, const struct resident *resident);

#endif
