/* SPDX-License-Identifier: MIT */
#include "kit/strip.h"

#include "os/os.h"
#include "kit/name.h"
#include "kit/own.h"

#define LIMITED_PART 16 /* of the address space that RLIMIT_AS allows, at most, where the strip cannot grow later */

/* In one piece, as long as there is room for it. */
static char *reserve_elsewhere(const struct strip_plan *plan, size_t *bytes) {
    size_t limit = os_address_limit();
    char *space;
    *bytes = plan->usual;
    while (*bytes > plan->first && *bytes > limit / LIMITED_PART)
        *bytes = max_size(align_up(*bytes / 2, OS_PAGE), plan->first);
    while ((space = os_reserve_zeros(*bytes + 2 * BUDGET_FENCE)) == NULL && *bytes > plan->first)
        *bytes = max_size(align_up(*bytes / 2, OS_PAGE), plan->first);
    return space;
}

static void note(const struct strip *strip) {
    own_note(strip->start, strip->reserved);
    name_memory(strip->start, strip->reserved, NAME_OWN);
}

bool strip_open(struct strip *strip, char *place, const struct strip_plan *plan) {
    size_t bytes = plan->first, most = plan->most;
    char *space = place;
    if (place == NULL || !os_reserve_zeros_at(place, bytes + 2 * BUDGET_FENCE)) {
        space = reserve_elsewhere(plan, &bytes);
        most = bytes;
    }
    if (space == NULL)
        return false;
    *strip = (struct strip){space + BUDGET_FENCE, bytes, most};
    note(strip);
    return true;
}

/* The new piece begins behind the last fence, which so becomes part of the array, and ends with a new one. */
static bool grow(struct strip *strip, size_t bytes) {
    if (bytes <= strip->reserved ||
        !os_reserve_zeros_at(strip->start + strip->reserved + BUDGET_FENCE, bytes - strip->reserved))
        return false;
    strip->reserved = bytes;
    note(strip);
    return true;
}

COLD bool strip_reach_slow(struct strip *strip, size_t bytes) {
    bytes = align_up(bytes, OS_PAGE);
    return bytes <= strip->most &&
           (grow(strip, min_size(max_size(bytes, 2 * strip->reserved), strip->most)) || grow(strip, bytes));
}
