/* SPDX-License-Identifier: MIT */
#include "protect/hardened.h"

#include <stdatomic.h>

#include "kit/random.h"
#include "kit/report.h"
#include "callers/stacks.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_room.h"
#include "protect/hardened_slab.h"

/* A second thread, or a signal handler, that comes in the middle of the first one's start does not wait: its blocks are
 * checked until the first is done. */
bool hardened_start(void) {
    static _Atomic bool begun;
    if (atomic_exchange(&begun, true))
        return room_plan != NULL;
    fault_mask_handler();
    bool done = hardened_mapped_start() && slab_start();
    if (!done)
        report_line("protect:paranoid: address space for hardened blocks is refused; blocks are checked instead, as by "
                    "check:3");
    return done;
}

static void *alloc_once(size_t bytes, size_t align, const char *call, uint32_t stack) {
    void *p = slab_alloc(bytes, align, call, stack);
    return p != NULL ? p : hardened_mapped_alloc(bytes, align, call, stack);
}

void *hardened_alloc(size_t bytes, size_t align, const char *call) {
    uint32_t stack = stacks_capture();
    align = max_size(align, BLOCK_ALIGN);
    void *p = alloc_once(bytes, align, call, stack);
    if (p != NULL || bytes > SIZE_LIMIT / 2)
        return p;
    hardened_trim(true);
    return alloc_once(bytes, align, call, stack);
}

bool hardened_owns(const void *p) {
    return slab_owns(p) || hardened_mapped_owns(p);
}

bool hardened_is_own(const void *p) {
    return slab_owns(p) || hardened_mapped_is_table(p);
}

void hardened_free(void *p, const char *call, size_t bytes, size_t align) {
    uint32_t stack = stacks_capture();
    if (slab_owns(p))
        slab_free(p, call, bytes, align, stack);
    else
        hardened_mapped_free(p, call, bytes, align, stack);
}

bool hardened_size(const void *p, const char *call, size_t *bytes) {
    return slab_owns(p) ? slab_size(p, call, bytes) : hardened_mapped_size(p, call, bytes);
}

void hardened_shrink(void *p, size_t bytes) {
    if (slab_owns(p))
        slab_shrink(p, bytes);
    else
        hardened_mapped_shrink(p, bytes);
}

enum mcheck_status hardened_probe(const void *p, const char *call) {
    return slab_owns(p) ? slab_probe(p, call) : hardened_mapped_probe(p, call);
}

void hardened_check(const char *call) {
    slab_check(call);
    hardened_mapped_check(call);
}

size_t hardened_trim(bool all) {
    if (all)
        hardened_mapped_trim();
    return slab_trim(all);
}

void hardened_count(struct hardened_totals *totals) {
    struct slab_totals slabs;
    struct hardened_mapped_totals large;
    slab_count(&slabs);
    hardened_mapped_count(&large);
    *totals = (struct hardened_totals){slabs.live + large.live, slabs.live_blocks + large.live_blocks,
                                     slabs.taken + large.taken};
}

void hardened_walk(struct walk *walk) {
    slab_walk(walk);
    hardened_mapped_walk(walk);
}
