/* SPDX-License-Identifier: MIT */
#include "heap/mapped.h"

#include <stdatomic.h>

#include "base/address_map.h"
#include "os/os.h"
#include "kit/budget.h"
#include "kit/lock.h"
#include "kit/name.h"
#include "kit/readonly.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/region.h"

#define KEPT MAPPED_KEPT
#define GONE 16          /* mappings that are remembered when they are freed: a second free most often comes soon */
#define KEPT_TRIES 2     /* kept mappings offered to the OS again whenever it has taken another; each is a system call more, */
#define KEPT_TRIES_ALL 1024 /* and in malloc_trim, where each that goes is worth as many tries more */

struct mapped_totals mapped_totals;
static struct lock mapped_lock;
static struct address_map mappings = ADDRESS_MAP(struct mapping);
extern HIDDEN struct address_map mapped_table __attribute__((alias("mappings")));
static _Atomic size_t kept;     /* entries with KEPT */
static _Atomic size_t promised; /* entries to come (L3); raised under the lock, lowered without it */
static THREAD_LOCAL uint32_t promised_here; /* those of this thread: a forked child has no others. Never less than its part */
static size_t cursor;           /* where the next kept mapping is looked for */
static struct mapping gone[GONE] BIG_TABLE; /* the last that were freed or moved */
static size_t gone_count;

static void raise_promised(void) {
    promised_here++;
    atomic_signal_fence(memory_order_seq_cst);
    promised++;
}

static void lower_promised(void) {
    promised--;
    atomic_signal_fence(memory_order_seq_cst);
    promised_here--;
}

static struct mapping *find_locked(const void *addr) {
    struct mapping *mapping = address_map_find(&mappings, addr);
    return mapping == NULL || (mapping->bytes & KEPT) ? NULL : mapping;
}

/* Enters a mapping for which there is a promise, and uses that up. */
static void insert_locked(void *addr, size_t bytes) {
    ((struct mapping *)address_map_insert(&mappings, addr))->bytes = bytes;
    lower_promised();
    if (bytes & KEPT) {
        kept++;
        return;
    }
    mapped_totals.count++;
    mapped_totals.bytes += bytes;
    mapped_totals.count_peak = max_size(mapped_totals.count_peak, mapped_totals.count);
    mapped_totals.bytes_peak = max_size(mapped_totals.bytes_peak, mapped_totals.bytes);
}

/* Takes an entry out. Room for it stays promised. */
static void remove_locked(struct mapping *mapping) {
    raise_promised();
    if (mapping->bytes & KEPT) {
        kept--;
    } else {
        mapped_totals.count--;
        mapped_totals.bytes -= mapping->bytes;
    }
    address_map_remove(&mappings, mapping);
}

/* Promises room for one more entry (L3). */
static bool promise_locked(void) {
    if (!budget_grow_map(&mappings, promised + 1))
        return false;
    raise_promised();
    return true;
}

/* Promises room for one more mapping. False if there are mmap_max of them, or no memory for its entry. */
static bool promise(void) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    bool done = mapped_totals.count + promised < tunables.mmap_max && promise_locked();
    lock_release(&mapped_lock, LOCK_MAPPED);
    return done;
}

bool mapped_is_table(const void *p) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    bool is = address_map_covers(&mappings, p);
    lock_release(&mapped_lock, LOCK_MAPPED);
    return is;
}

/* Enters a mapping for which there is a promise. */
static void enter(void *addr, size_t bytes) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    insert_locked(addr, bytes);
    lock_release(&mapped_lock, LOCK_MAPPED);
}

static void raise_threshold_locked(size_t bytes) {
    if (tunables.dynamic_threshold && bytes > tunables.mmap_threshold && bytes <= MAPPED_DYNAMIC_MAX &&
        readonly_open(&tunables, sizeof tunables)) {
        tunables.mmap_threshold = min_size(2 * bytes, MAPPED_DYNAMIC_MAX + OS_PAGE);
        tunables.trim_threshold = 2 * bytes;
        readonly_shut(&tunables, sizeof tunables);
    }
}

/* Takes the entry out and returns its length, 0 if there is none. Room for it stays promised. */
static size_t leave(const void *addr, bool to_free) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    struct mapping *mapping = find_locked(addr);
    size_t bytes = mapping ? mapping->bytes : 0;
    if (mapping != NULL) {
        gone[gone_count++ % GONE] = *mapping;
        remove_locked(mapping);
    }
    if (to_free)
        raise_threshold_locked(bytes);
    lock_release(&mapped_lock, LOCK_MAPPED);
    return bytes;
}

/* ---- kept mappings ----------------------------------------------------------------------------------------------- */

/* Unmaps, or keeps what the OS refuses to take: a hole in the middle of what the kernel counts as one mapping makes two of it,
 * which may be one more than it allows. Uses up a promise. */
static bool unmap_or_keep(void *addr, size_t bytes) {
    if (os_unmap(addr, bytes)) {
        lower_promised();
        return true;
    }
    os_discard(addr, bytes);
    os_writable(addr, bytes); /* the program may have left a part of it read-only */
    enter(addr, bytes | KEPT);
    return false;
}

/* The next kept entry, NULL if there is none. */
static struct mapping *next_kept_locked(void) {
    for (size_t i = 0; kept > 0 && i < mappings.size; i++) {
        struct mapping *mapping = address_map_at(&mappings, cursor++ & (mappings.size - 1));
        if (mapping != NULL && (mapping->bytes & KEPT))
            return mapping;
    }
    return NULL;
}

static bool release_one(void) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    struct mapping *mapping = next_kept_locked(), found = mapping ? *mapping : (struct mapping){0, 0};
    if (mapping != NULL)
        remove_locked(mapping);
    lock_release(&mapped_lock, LOCK_MAPPED);
    return mapping != NULL && unmap_or_keep((void *)found.addr, found.bytes - KEPT);
}

/* Offers kept mappings to the OS again: when a mapping has gone, a kept neighbour of it may lie at the edge of a hole now, and
 * can go without a further mapping. `more`: so many further tries for each that goes. */
static COLD void release_kept(size_t tries, size_t more) {
    for (; tries > 0 && kept > 0; tries--)
        if (release_one())
            tries += more;
}

void mapped_trim(void) {
    release_kept(KEPT_TRIES_ALL, KEPT_TRIES_ALL);
}

/* A kept mapping of at least `bytes`, and at most twice that; its length in *length. */
static COLD void *reuse(size_t bytes, size_t align, size_t *length) {
    void *found = NULL;
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    for (size_t i = kept; i > 0 && found == NULL; i--) {
        struct mapping *mapping = next_kept_locked();
        size_t have = mapping->bytes - KEPT;
        if (have < bytes || have / 2 > bytes || mapping->addr % align != 0 || !budget_charge(have))
            continue;
        found = (void *)mapping->addr;
        *length = have;
        remove_locked(mapping);
        lower_promised(); /* remove_locked has made one, and the caller has one for the same mapping */
    }
    lock_release(&mapped_lock, LOCK_MAPPED);
    return found;
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

/* For os_map: unmaps an end of a mapping, or keeps it. */
static bool drop_slack(void *addr, size_t bytes) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    bool room = promise_locked();
    lock_release(&mapped_lock, LOCK_MAPPED);
    return room ? unmap_or_keep(addr, bytes) : os_unmap(addr, bytes);
}

static void *map_charged(size_t bytes, size_t align) {
    if (!budget_charge(bytes))
        return NULL;
    void *addr = os_map(bytes, align, drop_slack);
    if (addr == NULL)
        budget_refund(bytes);
    return addr;
}

void *mapped_alloc(size_t bytes, size_t align, bool *zeroed) {
    bytes = align_up(bytes, OS_PAGE);
    if (!promise())
        return NULL;
    size_t length = bytes;
    void *addr = UNLIKELY(kept > 0) ? reuse(bytes, align, &length) : NULL;
    *zeroed = addr == NULL;
    if (addr == NULL)
        addr = map_charged(bytes, align);
    if (addr == NULL) {
        lower_promised();
        return NULL;
    }
    enter(addr, length);
    region_prepare(addr, length);
    name_memory(addr, length, NAME_BLOCK);
    return addr;
}

size_t mapped_bytes(const void *p) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    struct mapping *mapping = find_locked(p);
    size_t bytes = mapping ? mapping->bytes : 0;
    lock_release(&mapped_lock, LOCK_MAPPED);
    return bytes;
}

enum mapped_past mapped_past(const void *p) {
    enum mapped_past past = MAPPED_NOTHING;
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    for (size_t i = 0; i < GONE; i++)
        if (gone[i].addr == (uintptr_t)p)
            past = MAPPED_STARTED;
        else if (past == MAPPED_NOTHING && (uintptr_t)p % BLOCK_ALIGN == 0 && (uintptr_t)p - gone[i].addr < gone[i].bytes)
            past = MAPPED_COVERED;
    lock_release(&mapped_lock, LOCK_MAPPED);
    return past;
}

bool mapped_free(void *p) {
    size_t bytes = leave(p, true);
    if (bytes == 0)
        return false;
    if (unmap_or_keep(p, bytes))
        release_kept(KEPT_TRIES, 0);
    budget_refund(bytes);
    return true;
}

/* Resizes a mapping and what is charged for it. *bytes is what is wanted, and afterwards what it has. NULL if growing was
 * refused. */
static void *remap_charged(void *p, size_t old, size_t *bytes) {
    size_t wanted = *bytes;
    if (wanted > old && !budget_charge(wanted - old))
        return NULL;
    void *moved = os_remap(p, old, wanted, true);
    if (moved == NULL && wanted < old && os_unmap((char *)p + wanted, old - wanted)) /* another way to say the same */
        moved = p;
    if (moved == NULL && wanted > old) {
        budget_refund(wanted - old);
    } else if (moved == NULL) { /* the kernel refuses to cut the end off: it stays, without memory */
        os_discard((char *)p + wanted, old - wanted);
        *bytes = old;
        return p;
    } else if (wanted < old) {
        budget_refund(old - wanted);
    } else {
        region_prepare((char *)moved + old, wanted - old);
    }
    return moved;
}

void *mapped_resize(void *p, size_t bytes) {
    bytes = align_up(bytes, OS_PAGE);
    /* Out of the table while it moves: the kernel may give the old address to another thread before the new one is entered. */
    size_t old = leave(p, false);
    if (old == 0) /* another thread has freed it */
        return NULL;
    void *moved = old == bytes ? p : remap_charged(p, old, &bytes);
    enter(moved ? moved : p, moved ? bytes : old);
    return moved;
}

/* Moves pages of the heap into a mapping of new_bytes. NULL, with the pages where they were, if that is refused. */
static char *steal(void *p, size_t bytes, size_t new_bytes) {
    char *moved = os_steal(p, bytes);
    if (moved == NULL)
        return NULL;
    char *grown = os_remap(moved, bytes, new_bytes, true);
    if (grown == NULL) {
        os_put_back(moved, p, bytes);
        return NULL;
    }
    if (new_bytes > bytes)
        region_prepare(grown + bytes, new_bytes - bytes);
    name_memory(grown, new_bytes, NAME_BLOCK);
    return grown;
}

void *mapped_steal(void *p, size_t bytes, size_t new_bytes) {
    new_bytes = align_up(new_bytes, OS_PAGE);
    if (!promise())
        return NULL;
    char *grown = NULL;
    if (budget_charge(new_bytes) && (grown = steal(p, bytes, new_bytes)) == NULL)
        budget_refund(new_bytes);
    if (grown != NULL)
        enter(grown, new_bytes);
    else
        lower_promised();
    return grown;
}

int mapped_mallopt(int parameter, int value) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    int done = tunables_mallopt(parameter, value);
    lock_release(&mapped_lock, LOCK_MAPPED);
    return done;
}

bool mapped_set(size_t at, size_t value) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    bool done = tunables_set(at, value);
    lock_release(&mapped_lock, LOCK_MAPPED);
    return done;
}

size_t mapped_list(size_t *at, struct mapped_range *out, size_t room) {
    size_t count = 0;
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    for (; *at < mappings.size && count < room; ++*at) {
        const struct mapping *mapping = address_map_at(&mappings, *at);
        if (mapping != NULL)
            out[count++] = (struct mapped_range){(const char *)mapping->addr, mapping->bytes & ~KEPT, mapping->bytes & KEPT};
    }
    lock_release(&mapped_lock, LOCK_MAPPED);
    return count;
}

void mapped_count(struct mapped_totals *totals) {
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    *totals = mapped_totals;
    lock_release(&mapped_lock, LOCK_MAPPED);
}

void mapped_walk(struct walk *walk) {
    size_t count = 0, bytes = 0, free = 0;
    lock_acquire(&mapped_lock, LOCK_MAPPED);
    for (size_t i = 0; i < mappings.size; i++) {
        const struct mapping *mapping = address_map_at(&mappings, i);
        if (mapping == NULL)
            continue;
        bool is_kept = (mapping->bytes & KEPT) != 0;
        free += is_kept;
        if (is_kept)
            continue;
        count++;
        bytes += mapping->bytes;
        report_walk(walk, (mapping->addr | mapping->bytes) % OS_PAGE == 0, "mapped L1", mapping);
    }
    const void *lost = address_map_verify(&mappings);
    report_walk(walk, lost == NULL, "mapped L1", lost);
    report_walk(walk, count == mapped_totals.count && bytes == mapped_totals.bytes, "mapped L1", &mapped_totals);
    report_walk(walk, free == kept, "mapped L2", &mapped_totals);
    report_walk(walk, address_map_has_room(&mappings, promised), "mapped L3", &mapped_totals);
    lock_release(&mapped_lock, LOCK_MAPPED);
}

static void forked(void) {
    promised = promised_here; /* all others were made to threads that did not live on in this child */
}

const struct lock_set mapped_locks = {.rank = LOCK_MAPPED, .lock = &mapped_lock, .forked = forked};
