/* SPDX-License-Identifier: MIT */
/* What front.c turns to while something watches every call (rank 16): each mode does its part around the plain
 * allocation. */
#include <string.h>

#include "cache.h"
#include "front.h"
#include "note.h"
#include "tunables.h"
#include "watch.h"

/* glibc: allocated bytes get the complement of the value, freed ones the value. All the block is filled, so that what a
 * later realloc adds in place is filled too. */
static void perturb_alloc(void *p, size_t bytes) {
    if (watch_has(WATCH_PERTURB))
        memset(p, (unsigned char)~tunables.perturb, bytes);
}

static void perturb_free(void *p, size_t bytes) {
    if (watch_has(WATCH_PERTURB))
        memset(p, (unsigned char)tunables.perturb, bytes);
}

/* What every watched call starts with. */
static void arrive(void) {
    if (watch_has(WATCH_START))
        watch_start();
    cache_settle();
}

void *front_watched_alloc(size_t bytes, size_t align, bool *zeroed, const char *call) {
    (void)call;
    arrive();
    void *p = front_raw_alloc(bytes ? bytes : 1, align, zeroed);
    if (p != NULL && watch_has(WATCH_PERTURB)) {
        perturb_alloc(p, front_raw_usable(p));
        *zeroed = false;
    }
    note_allocated(p, bytes);
    return p;
}

void front_watched_free(void *p, const char *call, size_t bytes, size_t align) {
    (void)bytes;
    (void)align;
    arrive();
    note_freeing(p);
    if (watch_has(WATCH_PERTURB))
        perturb_free(p, front_raw_usable(p));
    front_raw_free(p, call);
}

/* To another block. One that cannot be copied to a smaller place stays where it is. */
static void *move(void *p, size_t old, size_t bytes, const char *call) {
    bool zeroed;
    void *fresh = front_raw_alloc(bytes ? bytes : 1, BLOCK_ALIGN, &zeroed);
    if (fresh == NULL)
        return bytes <= old ? p : NULL;
    size_t kept = min_size(old, bytes), usable = front_raw_usable(fresh);
    memcpy(fresh, p, kept);
    perturb_alloc((char *)fresh + kept, usable - kept);
    perturb_free(p, old);
    front_raw_free(p, call);
    return fresh;
}

static void *resize(void *p, size_t old, size_t bytes, const char *call) {
    if (bytes <= old && bytes >= old / 2)
        return p;
    void *resized = bytes > old / 2 ? front_raw_resize(p, bytes) : NULL;
    if (resized == NULL)
        return move(p, old, bytes, call);
    size_t usable = front_raw_usable(resized);
    if (usable > old)
        perturb_alloc((char *)resized + old, usable - old);
    return resized;
}

void *front_watched_realloc(void *p, size_t bytes, const char *call) {
    arrive();
    size_t old = front_raw_usable(p);
    if (old == 0) {
        report_bad_call(call, p, INVALID_POINTER);
        return front_no_memory();
    }
    struct leaks_record was = note_resizing(p);
    void *resized = resize(p, old, bytes, call);
    note_resized(&was, p, old, resized, bytes);
    return resized;
}

size_t front_watched_usable(const void *p, const char *call) {
    size_t bytes = front_raw_usable(p);
    if (bytes == 0)
        report_bad_call(call, p, INVALID_POINTER);
    return bytes;
}
