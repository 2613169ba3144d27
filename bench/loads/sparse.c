/* SPDX-License-Identifier: MIT */
/* Large blocks of which only the first page is used, as tables and stacks are, each beside some small blocks that are
 * used whole: memory that nobody wrote must not become resident because a neighbour was. Written for this bench. */
#include "load.h"

static long blocks = 10000, bytes = 60000, small = 1, small_bytes = 8000, dropped_first = 32 << 20;

static const struct parameter parameters[] = {{"blocks", &blocks, 1, 10000000},
                                              {"bytes", &bytes, 1, 1 << 30},
                                              {"small", &small, 0, 1000},
                                              {"small-bytes", &small_bytes, 1, 1 << 20},
                                              {"dropped-first", &dropped_first, 0, 1 << 30}};

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    size_t each = 1 + (size_t)small;
    struct block *table = table_new((size_t)blocks * each, sizeof *table);
    long before = resident_pages();
    free(checked(malloc((size_t)dropped_first),
                 (size_t)dropped_first)); /* thresholds that follow the program rise by this */
    for (long i = 0; i < blocks; i++) {
        struct block *large = &table[(size_t)i * each];
        *large = (struct block){
            .at = (unsigned char *)checked(malloc((size_t)bytes), (size_t)bytes), .size = 1, .tag = (uint32_t)i};
        large->at[0] = (unsigned char)i;
        for (size_t k = 1; k < each; k++) {
            block_new(&large[k], (size_t)small_bytes, (uint32_t)(i * 31) + (uint32_t)k);
            memset(large[k].at + sizeof large[k].tag, (int)large[k].tag, (size_t)large[k].size - sizeof large[k].tag);
        }
    }
    double resident = (double)(resident_pages() - before) * page_bytes() / 1024;
    double used = (double)blocks * (page_bytes() + (double)small * (double)small_bytes) / 1024;
    figure("resident", resident, "KiB");
    figure("used", used, "KiB");
    figure("held-per-floor", 100 * resident / used, "%");
    for (size_t i = 0; i < (size_t)blocks * each; i++)
        block_drop(&table[i]);
    return 0;
}
