/* SPDX-License-Identifier: MIT */
#include "api/front_aside.h"

#include <string.h>

#include "kit/lock.h"
#include "kit/modes.h"
#include "heap/aside.h"
#include "heap/mapped.h"
#include "heap/plain.h"

void *front_aside_alloc(size_t bytes, size_t align) {
    void *p = aside_alloc(bytes, align);
    return p ? p : plain_no_memory();
}

/* Other blocks than those set aside are known to structures that this thread may have left half changed: spans are read without
 * their lock, as always; mappings if this thread has not their lock; protected blocks not at all. */
size_t front_aside_usable(const void *p) {
    size_t bytes = aside_bytes(p);
    if (bytes != 0 || modes_has(MODE_CHECK | MODE_GUARDED | MODE_HARDENED) || lock_set_is_mine(&mapped_locks))
        return bytes;
    return plain_usable(p);
}

void *front_aside_realloc(void *p, size_t bytes) {
    size_t old = front_aside_usable(p);
    void *fresh = old != 0 ? aside_alloc(bytes, BLOCK_ALIGN) : NULL;
    if (fresh == NULL)
        return plain_no_memory();
    return memcpy(fresh, p, min_size(old, bytes));
}
