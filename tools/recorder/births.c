/* SPDX-License-Identifier: MIT */
/* Which block lies at an address: a word for each 16 bytes of the address space, in leaves of 64 MiB that are mapped where a
 * block is, and take memory where one has been. The program itself orders who writes and reads the word of a block, as it must
 * order malloc and free. A table of fixed places, unlike one by hashes, never grows, has no lock, and lies in caches as the
 * blocks do. */
#include <sys/mman.h>

#include "recorder.h"

uint64_t *births_leaves[2][1 << (ADDRESS_BITS - LEAF_SHIFT)];

COLD uint64_t *births_leaf(uintptr_t address)
{
    uint64_t **place = &births_leaves[address >> 3 & 1][address >> LEAF_SHIFT], *none = NULL;
    size_t bytes = LEAF_SLOTS * sizeof(uint64_t);
    uint64_t *leaf = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (leaf == MAP_FAILED)
        return NULL;
    if (__atomic_compare_exchange_n(place, &none, leaf, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return leaf;
    munmap(leaf, bytes);
    return none;
}
