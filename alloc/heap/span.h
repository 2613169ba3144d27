/* SPDX-License-Identifier: MIT */
/*
 * The page heap: runs of units, free or in use. Free spans coalesce at once and are found best fit, lowest
 * address first, in a treap ordered by (units, address); what no free span holds is cut from the region's frontier.
 *
 * S1 the structure at a span's first unit is its head and says its state and length. Units inside a SMALL span are
 *    PART with `head` set; the last unit of a FREE span of several units is TAIL with `head` set; all others are NONE,
 *    so a pointer into the middle of a large span is told from its start. A span that is on its way between two states while
 *    nobody has the lock is HELD by one thread, and everybody else is refused.
 * S2 no two FREE spans touch, but where a hole of foreign memory lies between.
 * S3 every FREE span is in the tree, or in that of spans kept for small ones (span_free_keep).
 * S4 a free unit that is neither fresh nor old (region.h) holds zeros; a unit in use is neither, and none is both. `dirty` of a
 *    FREE span counts its units that are one of them.
 *
 * Lock: LOCK_SPANS, taken inside. Failure leaves everything as it was. Rejected: a linear list of free runs, which
 * took 1.2 times as long on ghostscript; a bitmap of units, which cannot give best fit in logarithmic time.
 */
#ifndef MYALLOC_SPAN_H
#define MYALLOC_SPAN_H

#include "base/base.h"
#include "kit/lock.h"
#include "kit/report.h"
#include "heap/region.h"

/* A span for blocks of the class, a grown one or not (class_units), registered in the unit map, nothing carved. NULL if the OS
 * refuses memory. */
struct span *span_acquire_small(unsigned class, bool grown);

/* Whether the unit map shows small spans, those there are and those to come. Hidden, every free takes the slow way and
 * finds the class through the region (mode_switch.h). */
void span_show(bool shown);

/* A large block of `units`, starting at a multiple of `align` (a power of two). *zeroed tells if all of it is known to
 * be zero. NULL if the OS refuses. */
struct span *span_acquire_large(size_t units, size_t align, bool *zeroed);

/* Frees a span. A SMALL one must have all its blocks home and be on no list. */
void span_release(struct span *span);

/* Whether no span was freed for decay_ms, up to `now` or up to a free that ended it: then all that was free is old now. Each
 * silence is told of once. */
bool span_was_silent(uint64_t now);

/* Frees a span that was LARGE when it was found. False if it is LARGE no more: another thread has freed it, too. */
bool span_release_large(struct span *span);

/* For a thread that is about to move the memory of a LARGE span elsewhere, without the lock: makes it HELD, so that nobody else
 * frees or resizes it. *units is its length. False if it is LARGE no more. Then either the memory is gone, and the span is
 * freed as a dirty one, or all is as before. */
bool span_try_hold(struct span *span, size_t *units);
void span_unhold(struct span *span, bool gone);

/* Makes a LARGE span `units` long without moving it. False if the space behind it is taken, or if it is LARGE no more. */
bool span_try_resize(struct span *span, size_t units);

/* How many blocks of a SMALL span have been cut; without the lock of its class, as of some moment. */
static inline size_t span_carved(const struct span *span) {
    return __atomic_load_n(&span->carved, __ATOMIC_RELAXED);
}

/* The structure of the unit that an address of the region lies in. */
static inline struct span *span_of_unit(const struct region *region, const void *p) {
    return &region->spans[((uintptr_t)p - region->base) >> UNIT_SHIFT];
}

/* Address of a span's first byte. */
static inline char *span_address(const struct span *span) {
    const struct region *region = &regions[span->region];
    return (char *)region->base + ((size_t)(span - region->spans) << UNIT_SHIFT);
}

/* A SMALL span's blocks that are at home, a bit each by their order in memory; as many words as the capacity needs.
 * Guarded by the lock of the class. */
#define SPAN_FEW (sizeof(((struct span *)0)->few_bits) * CHAR_BIT)
static inline uint64_t *span_home(struct span *span) {
    struct region *region = &regions[span->region];
    return span->capacity <= SPAN_FEW ? span->few_bits : region->home + (size_t)(span - region->spans) * HOME_WORDS;
}

/* The head of the SMALL or LARGE span that `p` lies in; NULL if there is none, or if `p` lies in a LARGE span but not
 * in its first unit. */
struct span *span_find(const void *p);

/* Gives all free memory back to the OS, but for `pad` bytes at the top of the heap. Returns how many bytes that had memory
 * went. */
size_t span_purge(size_t pad);

/* When a sweep (span_sweep.h) has given so many bytes back: moves the break down if that is worth it (trim_threshold). */
void span_trim(size_t given);

/* True if `p` lies in memory of the page heap that is in no block, and a block may have started there. Takes the lock. */
COLD bool span_is_free(const void *p);

/* Gives the memory of whole OS pages in which no block is in use back to the OS. True if they read as zeros now; what they held
 * is undefined otherwise. Takes no lock. */
bool span_purge_pages(void *addr, size_t bytes);

/* A consistent copy of span_totals; what regions hold; bytes beyond all frontiers; bytes free at the top of the brk heap. */
struct region_totals;
void span_count(struct span_totals *totals, struct region_totals *held, size_t *unused, size_t *top);

extern HIDDEN const struct lock_set span_locks;

/* True if `p` is a block that was cut from a SMALL span of the class. */
bool span_is_block(const void *p, unsigned class);

/* Blocks in a chain of such blocks; SIZE_MAX if something else is in it, or it is longer than `most`. */
size_t span_chain_length(const void *chain, unsigned class, size_t most);

/* True if the chain leads to `block` before it leads to something else than blocks of the class. `changing`: it is the list of
 * another thread, which may take blocks from it meanwhile; then only links of blocks with the mark count, as those of live ones
 * are the program's words. Takes the lock of the spans, so that what is read stays mapped. */
bool span_chain_leads_to(const void *chain, unsigned class, const void *block, bool changing);

/* Looks whether S1-S4, U1-U2 and R1-R3 hold over all regions. Takes the lock. */
void span_walk(struct walk *walk);

/* Calls `see` with each SMALL span, under the lock. */
void span_each_small(void (*see)(struct span *span, void *data), void *data);

#endif
