/* SPDX-License-Identifier: MIT */
/* The invariants of hardened_slab.h, looked at. */
#include "kit/report.h"
#include "protect/hardened_room.h"
#include "protect/hardened_slab.h"

struct tally {
    size_t live_blocks, live_bytes, held, open, listed, retired, empty;
};

/* P1 of one cell. */
static void walk_cell(struct walk *walk, const struct room *room, const struct cell *cell, struct tally *tally) {
    uint32_t taken = 0, free = 0;
    bool fits = true;
    for (uint32_t i = 0; i < room->slots; i++) {
        const struct slot *slot = &cell->slots[i];
        bool is_free = (cell->free[i / 64] >> (i % 64) & 1) != 0, busy = slot->state == SLOT_LIVE || slot->state == SLOT_HELD;
        fits &= is_free != busy && slot->bytes <= room->slot;
        free += is_free;
        taken += busy;
        tally->live_blocks += slot->state == SLOT_LIVE;
        tally->live_bytes += slot->state == SLOT_LIVE ? slot->bytes : 0;
        tally->held += slot->state == SLOT_HELD;
    }
    tally->listed += free > 0 && cell->state == CELL_OPEN;
    tally->open += cell->state == CELL_OPEN;
    tally->retired += cell->state == CELL_RETIRED;
    tally->empty += taken == 0 && cell->state == CELL_OPEN;
    report_walk(walk, fits && free == cell->free_count && (taken == 0 || cell->state == CELL_OPEN), "harden P1", cell);
}

/* P2 of one list: its length. */
static size_t walk_list(struct walk *walk, const struct room *room, uint32_t first, uint32_t last, enum cell_state wanted) {
    uint32_t previous = 0, at = first;
    size_t length = 0;
    for (; at != 0 && length <= room->state->frontier; previous = at, at = cell_at(room, at - 1)->next, length++) {
        const struct cell *cell = cell_at(room, at - 1);
        if (!report_walk(walk, cell->state == wanted && cell->previous == previous && cell->free_count > 0, "harden P2", cell))
            return length;
    }
    report_walk(walk, previous == last, "harden P2", room->state);
    return length;
}

/* P3. */
static void walk_quarantine(struct walk *walk, const struct room *room, size_t held) {
    const struct quarantine *quarantine = &room->state->quarantine;
    size_t found = 0;
    for (uint32_t i = 0; i < quarantine->random + quarantine->queue; i++) {
        if (quarantine->places[i] == 0)
            continue;
        found++;
        struct place place = place_of(room, quarantine->places[i]);
        report_walk(walk, place.number < room->state->frontier && place.slot->state == SLOT_HELD, "harden P3", place.start);
    }
    report_walk(walk, found == held && found == quarantine->held, "harden P3", quarantine);
}

void slab_walk(struct walk *walk) {
    for (unsigned class = 0; room_plan != NULL && class < CLASS_COUNT; class++) {
        const struct room *room = &room_plan->rooms[class];
        const struct room_state *state = room->state;
        struct tally tally = {0};
        lock_acquire(&room->state->lock, LOCK_HARDENED);
        for (uint32_t number = 1; number < state->frontier && number < room->cells; number++)
            if (cell_was_opened(room, number))
                walk_cell(walk, room, cell_at(room, number), &tally);
        report_walk(walk, tally.live_blocks == state->live_blocks && tally.live_bytes == state->live_bytes &&
                    tally.open == (room_has_memory(room) ? state->open : tally.open) && tally.empty == state->empty,
                "harden P1", state);
        size_t listed = walk_list(walk, room, state->first, state->last, CELL_OPEN);
        size_t retired = walk_list(walk, room, state->oldest, state->newest, CELL_RETIRED);
        report_walk(walk, listed == tally.listed && retired == tally.retired && retired == state->retired, "harden P2", state);
        walk_quarantine(walk, room, tally.held);
        lock_release(&room->state->lock, LOCK_HARDENED);
    }
}
