/* SPDX-License-Identifier: MIT */
#include "harden.h"

#include <stdatomic.h>

#include "harden_large.h"
#include "harden_room.h"
#include "harden_slab.h"
#include "random.h"
#include "report.h"
#include "stacks.h"

/* A second thread, or a signal handler, that comes in the middle of the first one's start does not wait: its blocks are
 * checked until the first is done. */
bool harden_start(void) {
    static _Atomic bool begun;
    if (atomic_exchange(&begun, true))
        return room_plan != NULL;
    fault_mask_handler();
    bool done = apart_start() && slab_start();
    if (!done)
        report_line("protect:paranoid: address space for hardened blocks is refused; blocks are checked instead, as by "
                    "check:3");
    return done;
}

static void *alloc_once(size_t bytes, size_t align, const char *call, uint32_t stack) {
    void *p = slab_alloc(bytes, align, call, stack);
    return p != NULL ? p : apart_alloc(bytes, align, call, stack);
}

void *harden_alloc(size_t bytes, size_t align, const char *call) {
    uint32_t stack = stacks_capture();
    align = max_size(align, BLOCK_ALIGN);
    void *p = alloc_once(bytes, align, call, stack);
    if (p != NULL || bytes > SIZE_LIMIT / 2)
        return p;
    harden_trim(true);
    return alloc_once(bytes, align, call, stack);
}

bool harden_owns(const void *p) {
    return slab_owns(p) || apart_owns(p);
}

bool harden_is_own(const void *p) {
    return slab_owns(p) || apart_is_table(p);
}

void harden_free(void *p, const char *call, size_t bytes, size_t align) {
    uint32_t stack = stacks_capture();
    if (slab_owns(p))
        slab_free(p, call, bytes, align, stack);
    else
        apart_free(p, call, bytes, align, stack);
}

bool harden_size(const void *p, const char *call, size_t *bytes) {
    return slab_owns(p) ? slab_size(p, call, bytes) : apart_size(p, call, bytes);
}

void harden_shrink(void *p, size_t bytes) {
    if (slab_owns(p))
        slab_shrink(p, bytes);
    else
        apart_shrink(p, bytes);
}

enum mcheck_status harden_probe(const void *p, const char *call) {
    return slab_owns(p) ? slab_probe(p, call) : apart_probe(p, call);
}

void harden_check(const char *call) {
    slab_check(call);
    apart_check(call);
}

size_t harden_trim(bool all) {
    if (all)
        apart_trim();
    return slab_trim(all);
}

void harden_count(struct harden_totals *totals) {
    struct slab_totals slabs;
    struct apart_totals large;
    slab_count(&slabs);
    apart_count(&large);
    *totals = (struct harden_totals){slabs.live + large.live, slabs.live_blocks + large.live_blocks,
                                     slabs.taken + large.taken};
}

void harden_walk(struct walk *walk) {
    slab_walk(walk);
    apart_walk(walk);
}

void harden_fork_acquire(void) {
    room_fork_acquire();
    apart_fork_acquire();
}

void harden_fork_release(void) {
    apart_fork_release();
    room_fork_release();
}

void harden_fork_reset(void) {
    random_fork_reset();
    apart_fork_reset();
    room_fork_reset();
}
