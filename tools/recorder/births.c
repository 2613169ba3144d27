/* SPDX-License-Identifier: MIT */
/* Which block lies at an address: a word for each 16 bytes of the address space, in leaves of 64 MiB that are mapped where a
 * block is, and take memory where one has been. The program itself orders who writes and reads the word of a block, as it must
 * order malloc and free. A table of fixed places, unlike one by hashes, never grows, has no lock, and lies in caches as the
 * blocks do. */
#include <sys/mman.h>

#include "recorder.h"

struct leaf *births_leaves[2][1 << (ADDRESS_BITS - LEAF_SHIFT)];
static struct leaf *all;

struct leaf *births_all(void)
{
    return __atomic_load_n(&all, __ATOMIC_ACQUIRE);
}

COLD struct leaf *births_leaf(uintptr_t address)
{
    struct leaf **place = &births_leaves[address >> 3 & 1][address >> LEAF_SHIFT], *none = NULL;
    struct leaf *leaf = mmap(NULL, sizeof *leaf, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (leaf == MAP_FAILED)
        return NULL;
    leaf->address = address >> LEAF_SHIFT << LEAF_SHIFT | (address & 8);
    if (!__atomic_compare_exchange_n(place, &none, leaf, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        munmap(leaf, sizeof *leaf);
        return none;
    }
    leaf->next = __atomic_load_n(&all, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&all, &leaf->next, leaf, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    return leaf;
}
