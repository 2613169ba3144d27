/* SPDX-License-Identifier: MIT */
/* A million live blocks, a list, walked in the order of allocation; then half of them are freed in random order and
 * made anew, and the list is walked again: how close together an allocator puts what belongs together. Written for this
 * bench; the question is that of Grunwald, Zorn and Henderson, "Improving the cache locality of memory allocation"
 * (PLDI 1993). */
#include "load.h"

struct item {
    struct item *next;
    uint64_t number;
};

static long items = 1000000, walks = 3, rounds = 2, size = 16;

static const struct parameter parameters[] = {{"items", &items, 2, 100000000},
                                              {"walks", &walks, 0, 1000000},
                                              {"rounds", &rounds, 0, 1000000},
                                              {"size", &size, sizeof(struct item), 100000}};

static struct item **table;

static void make(size_t i) {
    table[i] = checked(malloc((size_t)size), (size_t)size);
    table[i]->number = i;
}

static void walk(void) {
    for (long i = 0; i < items; i++)
        table[i]->next = i + 1 < items ? table[i + 1] : NULL;
    for (long w = 0; w < walks; w++) {
        uint64_t sum = 0;
        for (struct item *item = table[0]; item != NULL; item = item->next)
            sum += item->number;
        if (sum != (uint64_t)items * ((uint64_t)items - 1) / 2)
            load_fail("the sum of the list is %llu", (unsigned long long)sum);
    }
}

/* Half of the items are freed in random order, then made anew in theirs. */
static void replace_half(uint64_t *random) {
    for (long dropped = 0; dropped < items / 2;) {
        size_t chosen = random_below(random, (size_t)items);
        dropped += table[chosen] != NULL;
        free(table[chosen]);
        table[chosen] = NULL;
    }
    for (size_t i = 0; i < (size_t)items; i++)
        if (table[i] == NULL)
            make(i);
}

int main(int argc, char **argv) {
    load_parameters(argc, argv, parameters);
    table = table_new((size_t)items, sizeof *table);
    uint64_t random = random_stream(0);
    for (size_t i = 0; i < (size_t)items; i++)
        make(i);
    walk();
    for (long r = 0; r < rounds; r++) {
        replace_half(&random);
        walk();
    }
    for (long i = 0; i < items; i++)
        free(table[i]);
    return 0;
}
