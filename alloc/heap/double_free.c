/* SPDX-License-Identifier: MIT */
#include "heap/double_free.h"

#include "heap/span.h"
#include "heap/central.h"
#include "heap/cache.h"

struct wanted {
    const void *block;
    unsigned class;
    bool found;
};

READS_OTHERS static void look_in_cache(const struct cache *cache, void *data) {
    struct wanted *wanted = data;
    bool changing = cache != &cache_self;
    const struct bin *bin = bin_of(cache, wanted->class);
    const struct block *heads[] = {bin->head, cache->slow->spare[wanted->class]};
    for (size_t i = 0; i < sizeof heads / sizeof *heads && !wanted->found; i++)
        wanted->found = heads[i] != NULL && span_chain_leads_to(heads[i], wanted->class, wanted->block, changing);
}

bool double_free_is(const void *block, unsigned class) {
    struct wanted wanted = {.block = block, .class = class};
    cache_each(look_in_cache, &wanted);
    return wanted.found || central_holds(class, block);
}
