/* SPDX-License-Identifier: MIT */
/* How much of a large block had memory, for a replay that touches as much. mincore(2) tells it of private memory: a page that
 * nobody has touched has no memory, and of memory that was used before, as allocators keep it, all has. It reads the table of
 * pages and takes as long for a thousand of them as for one; /proc/self/pagemap takes up to 30 times that, and tells beside it
 * only which pages are swapped out, which count as untouched here. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "events.h"

enum { PAGES_A_LOOK = 1024, GRAIN_BITS = LARGE_SHIFT - GRAIN_SHIFT };

static struct leaf *leaf_of(uintptr_t address)
{
    return __atomic_load_n(&births_leaves[address >> 3 & 1][address >> LEAF_SHIFT], __ATOMIC_ACQUIRE);
}

static uint64_t *noted(struct leaf *leaf, uintptr_t address)
{
    return &leaf->large[(address >> LARGE_SHIFT) % LEAF_LARGE];
}

COLD uint64_t touched_note(const void *block, size_t size)
{
    uintptr_t address = (uintptr_t)block;
    uint64_t grain = (address >> GRAIN_SHIFT) % (1 << GRAIN_BITS);

    __atomic_store_n(noted(leaf_of(address), address), (uint64_t)size << GRAIN_BITS | grain, __ATOMIC_RELAXED);
    return BIRTH_LARGE;
}

static uint64_t count_pages(uintptr_t address, size_t size)
{
    unsigned char pages[PAGES_A_LOOK];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t at = address / page * page, end = (address + size + page - 1) / page * page;
    uint64_t count = 0;

    while (at < end) {
        size_t some = (end - at) / page < PAGES_A_LOOK ? (end - at) / page : PAGES_A_LOOK;

        if (mincore((void *)at, some * page, pages))
            return count;
        for (size_t i = 0; i < some; i++)
            count += pages[i] & 1;
        at += some * page;
    }
    return count * page / RECORDING_PAGE;
}

COLD uint64_t touched_pages(const void *block, uint64_t value)
{
    uintptr_t address = (uintptr_t)block;
    int before = errno;
    uint64_t pages;

    if (!(value & BIRTH_LARGE) || THREAD_OF(value & ~BIRTH_LARGE) < process_first_thread())
        return 0;
    pages = count_pages(address, *noted(leaf_of(address), address) >> GRAIN_BITS);
    errno = before;
    return pages;
}

COLD void touched_tell(struct stream *stream, uint64_t value, uint64_t pages)
{
    unsigned char *at;

    if (!(value & BIRTH_LARGE) || THREAD_OF(value & ~BIRTH_LARGE) < process_first_thread())
        return;
    at = event_number(event_begin(stream, RECORDING_RARE, RECORDING_TOUCHED), pages);
    at = event_number(at, THREAD_OF(value & ~BIRTH_LARGE));
    event_end(stream, event_number(at, BIRTH_OF(value)));
}

/* Other threads may end blocks at the same time: what is told of these then counts for nothing. */
COLD void touched_tell_left(struct stream *stream)
{
    for (struct leaf *leaf = births_all(); leaf; leaf = leaf->next) {
        for (uintptr_t i = 0; i < LEAF_LARGE; i++) {
            uint64_t note = __atomic_load_n(&leaf->large[i], __ATOMIC_RELAXED), value;
            uint64_t grain = i << GRAIN_BITS | (note & ((1 << GRAIN_BITS) - 1));
            const void *block = (const void *)(leaf->address + (grain << GRAIN_SHIFT)); /* NOLINT */

            value = note ? __atomic_load_n(&leaf->slots[grain], __ATOMIC_RELAXED) : 0;
            if (value & BIRTH_LARGE)
                touched_tell(stream, value, touched_pages(block, value));
        }
    }
}
