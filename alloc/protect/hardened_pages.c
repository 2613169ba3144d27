/* SPDX-License-Identifier: MIT */
#include "protect/hardened_pages.h"

#include "os/os.h"
#include "kit/budget.h"
#include "protect/hardened_lanes.h"

#define JOINED_TAIL CACHE_LINE

static size_t tail_bytes(const struct pages *pages) {
    return pages->joined ? JOINED_TAIL : 0;
}

static size_t data_bytes(const struct pages *pages) {
    return align_up(pages->bytes + tail_bytes(pages), OS_PAGE);
}

static size_t slack_for(size_t align) {
    return align > OS_PAGE ? align : 0;
}

static size_t guard_of(const struct pages *pages) {
    return pages->joined ? 0 : pages->in_lane ? LANE_GUARD : OS_PAGE;
}

/* The block lies at the end of its pages, as far as its alignment allows. */
static void lay_out(struct pages *pages, size_t align, size_t before) {
    pages->data_bytes = data_bytes(pages);
    pages->data = (char *)align_up((uintptr_t)pages->map + before, max_size(align, OS_PAGE));
    pages->start = (char *)align_down((uintptr_t)pages_end(pages) - tail_bytes(pages) - pages->bytes, align);
}

void pages_take_slot(struct pages *pages, size_t align, struct random *random) {
    pages->map = lanes_take(data_bytes(pages) + slack_for(align), random, &pages->map_bytes);
    pages->in_lane = pages->map != NULL;
}

static bool map_in_slot(struct pages *pages, size_t align, size_t shift) {
    lay_out(pages, align, LANE_GUARD + shift);
    return pages->data_bytes == 0 || os_map_at(pages->data, pages->data_bytes);
}

static bool map_anywhere(struct pages *pages, size_t align, size_t shift) {
    size_t before = pages->joined ? 0 : guard_of(pages) + shift;
    pages->map_bytes = before + data_bytes(pages) + slack_for(align) + guard_of(pages);
    pages->map = os_reserve(pages->map_bytes);
    if (pages->map == NULL)
        return false;
    lay_out(pages, align, before);
    if (pages->data_bytes == 0 || os_commit(pages->data, pages->data_bytes))
        return true;
    os_unmap(pages->map, pages->map_bytes);
    return false;
}

bool pages_map(struct pages *pages, size_t align, size_t shift) {
    size_t bytes = data_bytes(pages);
    if (!budget_charge(bytes))
        return false;
    if (pages->in_lane && map_in_slot(pages, align, shift))
        return true;
    pages->in_lane = false;
    if (map_anywhere(pages, align, shift))
        return true;
    budget_refund(bytes);
    return false;
}

bool pages_close(struct pages *pages) {
    if (pages->data_bytes == 0)
        return true;
    if (pages->in_lane)
        return pages->unmapped = os_unmap(pages->data, pages->data_bytes);
    return pages->joined ? os_purge(pages->data, pages->data_bytes) : os_decommit(pages->data, pages->data_bytes);
}

bool pages_unmap(const struct pages *pages) {
    if (!pages->in_lane)
        return os_unmap(pages->map, pages->map_bytes);
    return pages->unmapped || pages->data_bytes == 0 || os_unmap(pages->data, pages->data_bytes);
}

bool pages_are_nested(const struct pages *pages) {
    size_t guard = guard_of(pages);
    return pages->map + guard <= pages->data && pages->data <= pages->start && pages_tail(pages) <= pages_end(pages) &&
           pages_end(pages) + guard <= pages->map + pages->map_bytes;
}
