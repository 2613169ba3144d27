/* SPDX-License-Identifier: MIT */
#include "protect/hardened_lanes.h"

#include "os/os.h"

#define LANE_BYTES (512 * GIB) /* of addresses each: slots for as many blocks as a process may have mappings */
#define LANE_LEAST (64 * MIB)  /* where the address space is smaller */
#define LANE_SLOTS ((size_t)(LANE_BYTES / LANE_FIRST))
#define LANES_MOST 17          /* slots of 8 MiB to 512 GiB */
#define WINDOW_LEAST 64        /* slots that are drawn from: 512 MiB, whose page tables are one page beside the blocks' own */

/* Lane i has half as many slots as the one before: `slots` >> i. The mark of its nth is bit (slots >> i) + n. */
static uint64_t marks[2 * LANE_SLOTS / 64] BIG_TABLE;

static struct {
    char *start;
    size_t bytes; /* of a lane; 0 if there are none */
    size_t slots; /* of the first */
    unsigned count;
    size_t used[LANES_MOST];
} lanes;

void lanes_start(void) {
    for (size_t bytes = LANE_BYTES; bytes >= LANE_LEAST && lanes.start == NULL; bytes /= 2) {
        lanes.bytes = bytes;
        lanes.slots = bytes / LANE_FIRST;
        lanes.count = high_bit(lanes.slots) + 1;
        lanes.start = os_place(lanes.count * bytes);
    }
    if (lanes.start == NULL)
        lanes.bytes = lanes.slots = lanes.count = 0;
}

static bool is_taken(size_t mark) {
    return (marks[mark / 64] >> mark % 64 & 1) != 0;
}

/* Few slots are drawn from while few are taken, so that few page tables are made. At most a quarter of them are taken, or three
 * quarters in a lane that is nearly full, so that the next that is free is near. */
static size_t draw(unsigned lane, size_t slots, struct random *random) {
    size_t window = min_size(slots, max_size(WINDOW_LEAST, 4 * lanes.used[lane]));
    size_t at = random_below(random, (uint32_t)window);
    while (is_taken(slots + at))
        at = at + 1 < window ? at + 1 : 0;
    return at;
}

char *lanes_take(size_t bytes, struct random *random, size_t *slot_bytes) {
    unsigned lane = 0;
    while (lane < lanes.count && bytes > (LANE_FIRST << lane) - 2 * LANE_GUARD - LANE_SLACK)
        lane++;
    size_t slots = lanes.slots >> lane;
    if (lane >= lanes.count || lanes.used[lane] >= max_size(slots / 4 * 3, 1))
        return NULL;
    size_t at = draw(lane, slots, random), mark = slots + at;
    marks[mark / 64] |= UINT64_C(1) << mark % 64;
    lanes.used[lane]++;
    *slot_bytes = LANE_FIRST << lane;
    return lanes.start + lane * lanes.bytes + at * *slot_bytes;
}

void lanes_give(const char *slot) {
    size_t offset = (size_t)(slot - lanes.start), lane = offset / lanes.bytes;
    size_t mark = (lanes.slots >> lane) + offset % lanes.bytes / (LANE_FIRST << lane);
    marks[mark / 64] &= ~(UINT64_C(1) << mark % 64);
    lanes.used[lane]--;
}

bool lanes_own(const void *p) {
    return (uintptr_t)p - (uintptr_t)lanes.start < lanes.count * lanes.bytes;
}

bool lanes_verify(size_t *taken) {
    size_t found = 0;
    *taken = 0;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        found += (size_t)__builtin_popcountll(marks[i]);
    for (unsigned lane = 0; lane < lanes.count; lane++)
        *taken += lanes.used[lane];
    return found == *taken;
}
