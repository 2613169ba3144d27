/* SPDX-License-Identifier: MIT */
#include "heap/region.h"

#include "os/os.h"
#include "kit/report.h"

#define WALK_UNITS 1024 /* untouched units that a walk looks at (16 MiB): looking at a page makes its page table */

/* R2, by a look at the first and the last word of each unit: none of them was ever handed out. */
static bool is_untouched(const struct region *region, size_t first, size_t end) {
    for (size_t at = first; at < end; at++) {
        const uint64_t *words = (const uint64_t *)(region->base + (at << UNIT_SHIFT));
        uint64_t dirty = region->dirty[at / 64].fresh | region->dirty[at / 64].old;
        if ((dirty >> at % 64 & 1) != 0 || (words[0] | words[UNIT / sizeof *words - 1]) != 0)
            return false;
    }
    return true;
}

static bool overlaps_other(const struct region *region) {
    uintptr_t end = region->base + (region->mapped << UNIT_SHIFT);
    for (const struct region *other = regions; other < regions + region_count; other++)
        if (other != region && other->base < end && region->base < other->base + (other->mapped << UNIT_SHIFT))
            return true;
    return false;
}

void region_walk(struct walk *walk, const struct region *region) {
    if (region->mapped == 0) /* the heap, where there is no break */
        return;
    uintptr_t end = region->base + (region->mapped << UNIT_SHIFT), brk = (uintptr_t)os_sbrk(0);
    bool known = region_find((const void *)region->base) == region && region->spans != NULL && region->dirty != NULL;
    bool ordered = region->frontier <= region->mapped && region->mapped <= region->max_units;
    report_walk(walk, known && region->base % UNIT == 0 && !overlaps_other(region), "region R1", region);
    size_t looked_at = min_size(region->mapped, region->frontier + WALK_UNITS);
    report_walk(walk, ordered && is_untouched(region, region->frontier, looked_at), "region R2", region);
    report_walk(walk, region != &regions[0] || brk == 0 || brk >= end, "region R3", region);
}
