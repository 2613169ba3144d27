/* SPDX-License-Identifier: MIT */
/*
 * Blocks with a mapping of their own, found by address in a table (base/address_map.h). The block starts at the start of its
 * mapping, so that no header wastes a page.
 *
 * L1 every mapping handed out is in the table with its exact length.
 * L2 what else is there is marked as kept: a mapping that was freed, but that the OS would not take back (munmap fails when
 *    the hole would need more mappings than vm.max_map_count). It has no memory if the OS took that; it serves a later
 *    request, or goes when its neighbours have gone.
 * L3 the table has room for what is in it and for every entry that is promised. Who is about to enter a mapping has a promise
 *    before anything happens that cannot be undone; taking an entry out leaves one. So what was in the table can always be
 *    entered again, whatever the OS refuses meanwhile.
 *
 * Lock: LOCK_MAPPED, held for table work only, never over a system call but the table's own growth and the opening of
 * the tunables (readonly.h). On failure nothing has changed. The dynamic threshold (glibc manual, "Malloc Tunable Parameters")
 * is kept here: freeing a mapping of up to 32 MiB moves the threshold to twice its size, so that such blocks come from
 * the heap and are not faulted in each time. glibc moves it to the size alone; then the largest blocks stay mapped
 * beside a heap that has room for them (eight buffers of 5 to 25 MiB: 188 MiB and 0.33 s, against 155 MiB and 0.29 s).
 */
#ifndef MYALLOC_MAPPED_H
#define MYALLOC_MAPPED_H

#include "base/base.h"
#include "kit/lock.h"

#define MAPPED_DYNAMIC_MAX (32 * MIB)

struct mapped_totals {
    size_t count, bytes; /* now */
    size_t count_peak, bytes_peak;
};
extern HIDDEN struct mapped_totals mapped_totals;

/* An entry of the table. MAPPED_KEPT is added to the length, which is a multiple of a page, where the mapping is kept (L2). */
#define MAPPED_KEPT ((size_t)1)
struct mapping {
    uintptr_t addr;
    size_t bytes;
};

/* The table, for tools (observe/structures.h). */
struct address_map;
extern HIDDEN struct address_map mapped_table;

/* A mapping of at least `bytes` (not 0), aligned to `align`, a power of two. *zeroed tells if it holds nothing but zeros: a
 * fresh one does, a kept one (L2) may not. NULL if refused, or if mmap_max mappings exist. */
void *mapped_alloc(size_t bytes, size_t align, bool *zeroed);

/* Length of the mapping that starts at `p`; 0 if none does. */
size_t mapped_bytes(const void *p);

/* What the last mappings that were freed or moved had at `p`, where no block starts now: their start, or an address that a
 * protected block may have had in them. */
enum mapped_past { MAPPED_NOTHING, MAPPED_COVERED, MAPPED_STARTED };
COLD enum mapped_past mapped_past(const void *p);

/* Unmaps, or keeps (L2); false if no mapping starts at `p`. */
bool mapped_free(void *p);

/* Resizes the mapping at `p` without copying; it may move. NULL if refused, for growth only: what the OS refuses to cut off
 * stays. It refuses also where the program has done something to a part of the block (mlock, mprotect, madvise), which makes
 * several mappings of one: then the block must be copied. */
void *mapped_resize(void *p, size_t bytes);

/* Moves `bytes` of pages at `p` (whole OS pages) out of the heap into a mapping of their own of `new_bytes`, without
 * copying; the memory at `p` reads as zeros afterwards. NULL if the kernel cannot or has no room; nothing has changed
 * then. */
void *mapped_steal(void *p, size_t bytes, size_t new_bytes);

/* Gives kept mappings (L2) back as far as the OS takes them by now. */
void mapped_trim(void);

/* tunables_mallopt under LOCK_MAPPED, so that a concurrent free cannot overwrite the threshold just set. */
int mapped_mallopt(int parameter, int value);

/* tunables_set under it. */
bool mapped_set(size_t at, size_t value);

/* A consistent copy of mapped_totals, which are written under the lock. */
void mapped_count(struct mapped_totals *totals);

/* Mappings from *at on, which is 0 at first, at most `room`, and moves *at behind them. Returns how many; 0 at the
 * end. Where the table changes between two calls some may be left out or told twice. */
struct mapped_range {
    const char *start;
    size_t bytes;
    bool is_kept; /* L2: no block */
};
size_t mapped_list(size_t *at, struct mapped_range *out, size_t room);

/* True if `p` lies in the table. */
bool mapped_is_table(const void *p);

/* Looks whether L1-L3 hold. Takes the lock. */
struct walk;
void mapped_walk(struct walk *walk);

extern HIDDEN const struct lock_set mapped_locks;

#endif
