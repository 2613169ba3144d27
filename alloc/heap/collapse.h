/* SPDX-License-Identifier: MIT */
/*
 * Memory of small pages made huge pages later: what the heap had before it was large (huge.h), what it got while the kernel had
 * no huge page ready, what went back to the OS and was touched again, and large mappings. For the helper thread alone
 * (process/background.h): the kernel copies 2 MiB, which takes half a ms as a rule, but some 5 ms where the machine is a
 * virtual one whose host has to find the memory first. Meanwhile other threads' page faults wait.
 *
 * Only a whole range of 2 MiB that is full and old: all of it lies in spans in use, or in one mapping, of which no hole went
 * back, and that was so at a look decay_period_ms() before. All but FEW_PAGES of its pages have memory, so that little is
 * added; fewer may be missing where the system's khugepaged/max_ptes_none says so. No page is shared with a fork's other side,
 * which would be copied for one of the two. None is asked for where the kernel's setting says never, hugepages is off, or the
 * heap is smaller than HUGE_FROM.
 *
 * One range at a step. When the kernel has no huge page, or takes long, nothing is asked for a while, each time twice as long.
 * A range of which holes were given back stays as it is: holes.h has told the kernel so.
 *
 * A range of which a part is freed and given back between the look at its pages and the kernel's work may have memory that is
 * not known of: 2 MiB at the most, zeros, until the units are used again.
 */
#ifndef MYALLOC_COLLAPSE_H
#define MYALLOC_COLLAPSE_H

#include "base/base.h"

/* Makes a step, if one is due; `now` in ms. One thread alone, with no lock held. */
void collapse_look(uint64_t now);

/* When the next step is due, ms; UINT64_MAX where there is nothing to look for. */
uint64_t collapse_due(void);

/* Ranges that became huge pages. */
size_t collapse_count(void);

#endif
