/* SPDX-License-Identifier: MIT */
#include "ranges.h"

#include <string.h>

struct range {
    uint64_t start, end;
};

static struct range range_of(const void *element)
{
    struct range range;

    memcpy(&range, element, sizeof range);
    return range;
}

int ranges_order(const void *one, const void *other)
{
    uint64_t a = range_of(one).start, b = range_of(other).start;

    return a < b ? -1 : a > b;
}

size_t ranges_first(const void *list, size_t count, size_t element, uint64_t address)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (range_of((const char *)list + middle * element).end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const void *ranges_find(const void *list, size_t count, size_t element, uint64_t address)
{
    size_t n = ranges_first(list, count, element, address);
    const char *found = (const char *)list + n * element;

    return n < count && range_of(found).start <= address ? found : NULL;
}
