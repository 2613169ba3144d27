/* SPDX-License-Identifier: MIT */
#include "api/front_watched.h"

#include <errno.h>
#include <string.h>

#include "kit/modes.h"
#include "kit/tunables.h"
#include "heap/cache.h"
#include "heap/plain.h"
#include "protect/check.h"
#include "protect/guarded.h"
#include "protect/hardened.h"
#include "protect/sampler.h"
#include "observe/observers.h"
#include "process/mode_start.h"

/* `plain` is always a block of the plain allocation, `p` what the program has. */

/* From here on a checked block that is resized moves its pages rather than its bytes. */
#define RESIZE_MIN (128 * KIB)

/* What every watched call starts with. */
static void arrive(const char *call) {
    if (modes_has(MODE_START))
        mode_start();
    cache_settle();
    if (modes_has(MODE_CHECK))
        check_pedantic(call);
}

/* glibc: allocated bytes get the complement of the value, freed ones the value. */
static void perturb_alloc(void *p, size_t bytes) {
    if (modes_has(MODE_PERTURB))
        memset(p, (unsigned char)~tunables.perturb, bytes);
}

static void perturb_free(void *p, size_t bytes) {
    if (modes_has(MODE_PERTURB))
        memset(p, (unsigned char)tunables.perturb, bytes);
}

/* ---- protected blocks -------------------------------------------------------------------------------------------- */

/* Where all blocks are hardened, what is no block is theirs to report, but for the few from before the start. */
static bool is_nowhere(const void *p) {
    return !modes_has(MODE_CHECK) && plain_start(p) != p;
}

/* Blocks that lie apart from the allocator's own: on guarded pages, or hardened. */
static bool lies_apart(const void *p) {
    return (modes_has(MODE_GUARDED) && guarded_owns(p)) || (modes_has(MODE_HARDENED) && (hardened_owns(p) || is_nowhere(p)));
}

/* A call that finds no list empty does not come here. So that those have their part, every second guarded page that is due
 * goes to the next allocation of another size, whose list is taken away for it. */
static void *alloc_guarded(size_t bytes, size_t align, const char *call) {
    if (LIKELY(!sampler_is_due(cache_stands_for(bytes))))
        return NULL;
    return sampler_passes_on() && cache_set_aside() ? NULL : guarded_alloc(bytes, align, call);
}

/* NULL if the block is to come from the allocator itself. */
static void *alloc_apart(size_t bytes, size_t align, const char *call) {
    int saved = errno;
    void *p = modes_has(MODE_GUARDED) ? alloc_guarded(bytes, align, call) : NULL;
    if (p == NULL && modes_has(MODE_HARDENED))
        p = hardened_alloc(bytes, align, call);
    errno = saved;
    return p;
}

static void free_apart(void *p, const char *call, size_t bytes, size_t align) {
    if (guarded_owns(p))
        guarded_free(p, call, bytes, align);
    else
        hardened_free(p, call, bytes, align);
}

static bool size_apart(const void *p, const char *call, size_t *bytes) {
    return guarded_owns(p) ? guarded_size(p, call, bytes) : hardened_size(p, call, bytes);
}

/* Where it is, for want of memory elsewhere: shrinking does not fail. */
static void *shrink_apart(void *p, size_t bytes) {
    if (guarded_owns(p))
        guarded_shrink(p, bytes);
    else
        hardened_shrink(p, bytes);
    return p;
}

/* To another block, always: what still points to the old one is found. */
static void *realloc_apart(void *p, size_t bytes, const char *call) {
    size_t old;
    bool zeroed;
    if (!size_apart(p, call, &old))
        return plain_no_memory();
    void *fresh = front_watched_alloc(bytes, BLOCK_ALIGN, &zeroed, call);
    if (fresh == NULL)
        return bytes <= old ? shrink_apart(p, bytes) : NULL;
    memcpy(fresh, p, min_size(old, bytes));
    front_watched_free(p, call, UNSIZED, 0);
    return fresh;
}

/* ---- checked blocks ---------------------------------------------------------------------------------------------- */

static void release_overdue(bool all, const char *call) {
    void *plain;
    while ((plain = check_overdue(all)) != NULL)
        plain_free(plain, call);
}

/* Before memory runs out for the program, the quarantine is given up. */
static void *alloc_checked(size_t bytes, size_t align, bool *zeroed, const char *call) {
    int saved = errno;
    size_t room = check_room(bytes, align);
    void *plain = plain_alloc(room, align, zeroed);
    if (plain == NULL && room != SIZE_MAX) {
        release_overdue(true, call);
        plain = plain_alloc(room, align, zeroed);
    }
    if (plain == NULL)
        return NULL;
    void *p = check_enter(plain, bytes, align, call);
    if (p == NULL) { /* no memory for the record: those of the quarantine will do */
        release_overdue(true, call);
        p = check_enter(plain, bytes, align, call);
    }
    if (p == NULL) {
        plain_free(plain, call);
        return plain_no_memory();
    }
    errno = saved;
    return p;
}

/* Bytes of a plain block that starts at `p` and holds no checked one: it is from before the checks. 0 if there is none.
 */
static size_t unchecked_bytes(const void *p) {
    return plain_start(p) == p && !check_holds(p) ? plain_usable(p) : 0;
}

static void free_unchecked(void *p, const char *call) {
    size_t bytes = unchecked_bytes(p);
    if (bytes == 0)
        check_invalid(p, call);
    else if (!check_adopt(p, bytes, call))
        plain_free(p, call);
}

static void free_checked(void *p, const char *call, size_t bytes, size_t align) {
    size_t size;
    void *plain = NULL;
    enum check_result result = check_look(p, call, bytes, align, &size);
    if (result == CHECK_DONE)
        result = check_leave(p, call, &plain);
    if (result == CHECK_UNKNOWN)
        free_unchecked(p, call);
    if (plain != NULL)
        plain_free(plain, call);
    release_overdue(false, call);
}

/* A large block keeps its pages. NULL if that cannot be done, nothing has changed then. */
static void *resize_checked(void *p, size_t old, size_t bytes, const char *call) {
    size_t room = check_room(bytes, BLOCK_ALIGN), size;
    if (old < RESIZE_MIN || bytes < RESIZE_MIN || room == SIZE_MAX)
        return NULL;
    check_look(p, call, UNSIZED, 0, &size);
    void *plain, *moved = NULL;
    struct check_record *record = check_detach(p, &plain);
    if (record == NULL)
        return NULL;
    if (record->align == BLOCK_ALIGN)
        moved = plain_resize(plain, room);
    p = check_attach(record, moved ? moved : plain, moved ? bytes : old, call);
    return moved ? p : NULL;
}

/* Where it is, for want of memory elsewhere: shrinking does not fail. */
static void *shrink_checked(void *p, size_t bytes, bool known, const char *call) {
    void *plain;
    struct check_record *record = known ? check_detach(p, &plain) : NULL;
    return record != NULL ? check_attach(record, plain, bytes, call) : p;
}

/* A fault is reported as such; false if there is no block to resize. *known tells if the checks know it. */
static bool size_checked(const void *p, const char *call, size_t *bytes, bool *known) {
    enum check_result result = check_size(p, call, bytes);
    *known = result == CHECK_DONE;
    if (result != CHECK_UNKNOWN)
        return *known;
    *bytes = unchecked_bytes(p);
    if (*bytes == 0)
        check_invalid(p, call);
    return *bytes != 0;
}

static void *move_checked(void *p, size_t old, size_t bytes, const char *call) {
    bool zeroed;
    void *fresh = alloc_checked(bytes, BLOCK_ALIGN, &zeroed, call);
    if (fresh == NULL)
        return NULL;
    perturb_alloc(fresh, bytes);
    memcpy(fresh, p, min_size(old, bytes));
    free_checked(p, call, UNSIZED, 0);
    return fresh;
}

static void *realloc_checked(void *p, size_t bytes, const char *call) {
    int saved = errno;
    size_t old;
    bool known;
    if (!size_checked(p, call, &old, &known))
        return plain_no_memory();
    struct leaks_record was = observers_resizing(p);
    void *resized = known ? resize_checked(p, old, bytes, call) : NULL;
    if (resized != NULL && bytes > old)
        perturb_alloc((char *)resized + old, bytes - old);
    if (resized == NULL)
        resized = move_checked(p, old, bytes, call);
    if (resized == NULL && bytes <= old) {
        resized = shrink_checked(p, bytes, known, call);
        errno = saved;
    }
    observers_resized(&was, p, old, resized, bytes);
    return resized;
}

static size_t usable_checked(const void *p, const char *call) {
    size_t bytes;
    bool known;
    return size_checked(p, call, &bytes, &known) ? bytes : 0;
}

/* ---- plain blocks ------------------------------------------------------------------------------------------------ */

/* To another block. One that cannot be copied to a smaller place stays where it is. */
static void *move_plain(void *p, size_t old, size_t bytes, const char *call) {
    bool zeroed;
    int saved = errno;
    void *fresh = plain_alloc(bytes, BLOCK_ALIGN, &zeroed);
    if (fresh == NULL && bytes <= old) {
        errno = saved;
        return p;
    }
    if (fresh == NULL)
        return NULL;
    size_t kept = min_size(old, bytes);
    memcpy(fresh, p, kept);
    perturb_alloc((char *)fresh + kept, plain_usable(fresh) - kept);
    perturb_free(p, old);
    plain_free(p, call);
    return fresh;
}

static void *resize_plain(void *p, size_t old, size_t bytes, const char *call) {
    void *resized = bytes > old / 2 ? plain_resize(p, bytes) : NULL; /* a large one also gives back what it loses */
    if (resized == NULL && bytes <= old && bytes >= old / 2)
        return p;
    if (resized == NULL)
        return move_plain(p, old, bytes, call);
    size_t usable = plain_usable(resized);
    if (usable > old)
        perturb_alloc((char *)resized + old, usable - old);
    return resized;
}

static void *realloc_plain(void *p, size_t bytes, const char *call) {
    size_t old = plain_usable(p);
    if (old == 0) {
        report_bad_call(call, p, INVALID_POINTER);
        return plain_no_memory();
    }
    struct leaks_record was = observers_resizing(p);
    void *resized = resize_plain(p, old, bytes, call);
    observers_resized(&was, p, old, resized, bytes);
    return resized;
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

/* Where guarded pages are all there is, what gets none is as if nothing watched. */
static void *alloc_sampled(size_t bytes, size_t align, bool *zeroed, const char *call) {
    void *p = alloc_guarded(bytes, align, call);
    *zeroed = true;
    return p != NULL ? p : plain_alloc(bytes ? bytes : 1, align, zeroed);
}

/* All of a plain block is filled, so that what a later realloc adds in place is filled too. */
void *front_watched_alloc(size_t bytes, size_t align, bool *zeroed, const char *call) {
    if (modes_only(MODE_GUARDED))
        return alloc_sampled(bytes, align, zeroed, call);
    arrive(call);
    bool exact = true;
    void *p = alloc_apart(bytes, align, call);
    if (p != NULL)
        *zeroed = true;
    else if (modes_has(MODE_HARDENED))
        return plain_no_memory();
    else if (modes_has(MODE_CHECK))
        p = alloc_checked(bytes, align, zeroed, call);
    else {
        p = plain_alloc(bytes ? bytes : 1, align, zeroed);
        exact = false;
    }
    if (p != NULL && modes_has(MODE_PERTURB)) {
        perturb_alloc(p, exact ? bytes : plain_usable(p));
        *zeroed = false;
    }
    observers_allocated(p, bytes);
    return p;
}

void front_watched_free(void *p, const char *call, size_t bytes, size_t align) {
    arrive(call);
    observers_freeing(p);
    if (lies_apart(p)) {
        free_apart(p, call, bytes, align);
        return;
    }
    if (modes_has(MODE_CHECK)) {
        free_checked(p, call, bytes, align);
        return;
    }
    if (modes_has(MODE_PERTURB))
        perturb_free(p, plain_usable(p));
    plain_free(p, call);
}

void *front_watched_realloc(void *p, size_t bytes, const char *call) {
    arrive(call);
    if (lies_apart(p))
        return realloc_apart(p, bytes, call);
    return modes_has(MODE_CHECK) ? realloc_checked(p, bytes, call) : realloc_plain(p, bytes, call);
}

size_t front_watched_usable(const void *p, const char *call) {
    size_t bytes = 0;
    if (lies_apart(p))
        return size_apart(p, call, &bytes) ? bytes : 0;
    if (modes_has(MODE_CHECK))
        return usable_checked(p, call);
    bytes = plain_usable(p);
    if (bytes == 0)
        report_bad_call(call, p, INVALID_POINTER);
    return bytes;
}
