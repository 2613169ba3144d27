/* SPDX-License-Identifier: MIT */
/* P1-P3 of hardened_slab.h, looked at. */
#include "kit/report.h"
#include "protect/hardened_slab.h"

struct tally {
    size_t live_blocks, live_bytes, held, open, listed, retired, empty;
};

/* P1 of one slab. */
static void walk_slab(struct walk *walk, const struct range *range, const struct slab *slab, struct tally *tally) {
    uint32_t taken = 0, free = 0;
    bool fits = true;
    for (uint32_t i = 0; i < range->slots; i++) {
        const struct slot *slot = &slab->slots[i];
        bool is_free = (slab->free[i / 64] >> (i % 64) & 1) != 0, busy = slot->state == SLOT_LIVE || slot->state == SLOT_HELD;
        fits &= is_free != busy && slot->bytes <= range->slot;
        free += is_free;
        taken += busy;
        tally->live_blocks += slot->state == SLOT_LIVE;
        tally->live_bytes += slot->state == SLOT_LIVE ? slot->bytes : 0;
        tally->held += slot->state == SLOT_HELD;
    }
    tally->listed += free > 0 && slab->state == SLAB_OPEN;
    tally->open += slab->state == SLAB_OPEN;
    tally->retired += slab->state == SLAB_RETIRED;
    tally->empty += taken == 0 && slab->state == SLAB_OPEN;
    report_walk(walk, fits && free == slab->free_count && (taken == 0 || slab->state == SLAB_OPEN), "harden P1", slab);
}

/* P2 of one list: its length. */
static size_t walk_list(struct walk *walk, const struct range *range, uint32_t first, uint32_t last, enum slab_state wanted) {
    uint32_t previous = 0, at = first;
    size_t length = 0;
    for (; at != 0 && length <= range->state->frontier; previous = at, at = slab_at(range, at - 1)->next, length++) {
        const struct slab *slab = slab_at(range, at - 1);
        if (!report_walk(walk, slab->state == wanted && slab->previous == previous && slab->free_count > 0, "harden P2", slab))
            return length;
    }
    report_walk(walk, previous == last, "harden P2", range->state);
    return length;
}

/* P3. */
static void walk_quarantine(struct walk *walk, const struct range *range, size_t held) {
    const struct quarantine *quarantine = &range->state->quarantine;
    size_t found = 0;
    for (uint32_t i = 0; i < quarantine->random + quarantine->queue; i++) {
        if (quarantine->places[i] == 0)
            continue;
        found++;
        struct position position = position_of(range, quarantine->places[i]);
        bool held_there = position.number < range->state->frontier && position.slot->state == SLOT_HELD;
        report_walk(walk, held_there, "harden P3", position.start);
    }
    report_walk(walk, found == held && found == quarantine->held, "harden P3", quarantine);
}

READS_OTHERS void hardened_slab_each_range(void (*see)(const void *start, size_t bytes, bool blocks, void *data), void *data) {
    for (unsigned class = 0; range_plan != NULL && class < CLASS_COUNT; class++) {
        const struct range *range = &range_plan->ranges[class];
        see(range->base, (size_t)range->state->frontier * range->slab, true, data);
        see(range->records[0], range->state->records[0], false, data);
        see(range->records[1], range->state->records[1], false, data);
    }
}

void hardened_slab_walk(struct walk *walk) {
    for (unsigned class = 0; range_plan != NULL && class < CLASS_COUNT; class++) {
        const struct range *range = &range_plan->ranges[class];
        const struct range_state *state = range->state;
        struct tally tally = {0};
        lock_acquire(&range->state->lock, LOCK_HARDENED);
        for (uint32_t number = 1; number < state->frontier && number < range->slabs; number++)
            if (slab_was_opened(range, number))
                walk_slab(walk, range, slab_at(range, number), &tally);
        report_walk(walk, tally.live_blocks == state->live_blocks && tally.live_bytes == state->live_bytes &&
                    tally.open == (range_has_memory(range) ? state->open : tally.open) && tally.empty == state->empty,
                "harden P1", state);
        size_t listed = walk_list(walk, range, state->first, state->last, SLAB_OPEN);
        size_t retired = walk_list(walk, range, state->oldest, state->newest, SLAB_RETIRED);
        report_walk(walk, listed == tally.listed && retired == tally.retired && retired == state->retired, "harden P2", state);
        walk_quarantine(walk, range, tally.held);
        lock_release(&range->state->lock, LOCK_HARDENED);
    }
}
