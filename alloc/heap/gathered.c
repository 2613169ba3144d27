/* SPDX-License-Identifier: MIT */
#include "heap/gathered.h"

#include "base/freelist.h"
#include "base/sizeclass.h"
#include "kit/budget.h"
#include "heap/cache.h"
#include "heap/central.h"
#include "heap/span.h"

struct gathered {
    size_t bytes;
    size_t first[REGIONS_MAX + 1]; /* where a region's pages begin in `blocks`; where the last one's end */
    uint16_t blocks[];             /* a page has 1024 at the most */
};

struct counting {
    struct gathered *gathered;
    unsigned class;
};

size_t gathered_blocks(const struct gathered *gathered, unsigned region, size_t page) {
    if (gathered == NULL || page >= gathered->first[region + 1] - gathered->first[region])
        return 0;
    return gathered->blocks[gathered->first[region] + page];
}

static void count_block(struct gathered *gathered, const void *block, size_t size) {
    const struct region *region = region_find(block);
    size_t at = (size_t)(region - regions), offset = (uintptr_t)block - region->base;
    size_t pages = gathered->first[at + 1] - gathered->first[at];
    for (size_t page = offset / OS_PAGE; page <= (offset + size - 1) / OS_PAGE && page < pages; page++)
        gathered->blocks[gathered->first[at] + page]++;
}

/* The program may have written over a link: what is no block ends the chain. */
static void see_chain(const void *chain, size_t most, void *data) {
    const struct counting *counting = data;
    for (const struct block *block = chain; block != NULL && most > 0; block = block->next, most--) {
        if (!span_is_block(block, counting->class))
            return;
        count_block(counting->gathered, block, class_bytes(counting->class));
    }
}

struct gathered *gathered_count(void) {
    size_t pages = 0, bytes;
    for (unsigned i = 0; i < region_count; i++)
        pages += regions[i].frontier * PAGES_A_UNIT;
    bytes = align_up(sizeof(struct gathered) + pages * sizeof(uint16_t), OS_PAGE);
    struct gathered *gathered = budget_map(bytes);
    if (gathered == NULL)
        return NULL;
    gathered->bytes = bytes;
    for (unsigned i = 0; i < REGIONS_MAX; i++) {
        size_t has = i < region_count ? regions[i].frontier * PAGES_A_UNIT : 0; /* may have grown */
        gathered->first[i + 1] = min_size(gathered->first[i] + has, pages);
    }
    for (unsigned class = 1; class < CLASS_COUNT; class++) {
        struct counting counting = {gathered, class};
        cache_each_own_chain(class, see_chain, &counting);
        central_each_chain(class, see_chain, &counting);
    }
    return gathered;
}

void gathered_drop(struct gathered *gathered) {
    if (gathered != NULL)
        budget_unmap(gathered, gathered->bytes);
}
