/* SPDX-License-Identifier: MIT */
#include "heap/region_place.h"

#include "os/os.h"
#include "heap/unitmap.h"

#define HEAP_ROOM (1 * GIB)   /* between the heap and the first region, in case the break can be moved again later */
#define PLACE (1024 * GIB)    /* for all regions, where there is no heap */
#define AROUND (64 * GIB)     /* of addresses below the first region that the kernel has put somewhere: others will be near */

static uintptr_t next; /* behind the last region that was put there; 0 if none was */

/* Behind the last one, or if something is there behind that: so far off that the table for what is between stays small. */
static uintptr_t map_behind(size_t bytes) {
    static const size_t skips[] = {0, 1 * GIB, 4 * GIB, 16 * GIB};
    for (size_t i = 0; next != 0 && i < sizeof skips / sizeof *skips; i++) {
        uintptr_t at = align_up(next + skips[i], HUGE_PAGE);
        if (at + bytes > (uintptr_t)1 << ADDRESS_BITS) /* a hint beyond asks the kernel for a larger address space */
            return 0;
        if (os_map_at((void *)at, bytes)) {
            next = at + bytes;
            return at;
        }
    }
    return 0;
}

uintptr_t region_place(size_t bytes, uintptr_t heap_end, uintptr_t *window) {
    if (next == 0)
        next = heap_end != 0 ? heap_end + HEAP_ROOM : (uintptr_t)os_place(PLACE);
    uintptr_t at = map_behind(bytes);
    *window = at;
    if (at != 0)
        return at;
    at = (uintptr_t)os_map(bytes, UNIT, os_unmap); /* ends that stay are lost addresses, not memory */
    /* Later nobody asks where the window starts, and a filter of the program's may forbid to ask for the limit. */
    if (unitmap.limit == 0)
        *window = at - min_size(min_size(AROUND, at), align_down(os_address_limit(), UNIT));
    return at;
}
