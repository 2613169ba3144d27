/* SPDX-License-Identifier: MIT */
#include "api/front_watched.h"

#include <errno.h>
#include <string.h>

#include "kit/modes.h"
#include "kit/report.h"
#include "kit/tunables.h"
#include "heap/cache.h"
#include "heap/mode_switch.h"
#include "heap/plain.h"
#include "protect/check.h"
#include "protect/judge.h"
#include "protect/protections.h"
#include "observe/observers.h"
#include "observe/profile.h"
#include "observe/profile_snapshot.h"
#include "process/control.h"
#include "process/mode_start.h"

/* A block is judged by a row of the table of protections, or it is plain: its row is NULL then. */

/* What every watched call starts with. */
static void arrive(const char *call) {
    if (modes_has(MODE_START))
        mode_start();
    if (cache_settle() && mode_switch_hiding)
        mode_switch_look();
    if (modes_has(MODE_CHECK) && check_is_pedantic())
        protections_check(call);
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

/* ---- a block of any kind ----------------------------------------------------------------------------------------- */

void *front_watched_plain(size_t bytes, size_t align, bool *zeroed) {
    void *p = plain_alloc(bytes ? bytes : 1, align, zeroed);
    if (LIKELY(p != NULL) || protections_trim(true) == 0)
        return p;
    p = plain_alloc(bytes ? bytes : 1, align, zeroed);
    return p != NULL ? plain_stay(p) : NULL;
}

/* Behind each change of the profile. */
static void profile_changed(void) {
    if (profile_snapshots() && control_may_act())
        profile_snapshot_look();
}

/* All of a plain block is filled, so that what a later realloc adds in place is filled too. */
static void *alloc_block(size_t bytes, size_t align, bool *zeroed, const char *call) {
    int saved = errno;
    bool plain = true;
    uint64_t weight = modes_has(MODE_PROFILE) ? profile_due(bytes, align) : 0;
    void *p = UNLIKELY(weight != 0) ? profile_alloc(bytes, align) : NULL;
    *zeroed = false;
    if (LIKELY(p == NULL))
        p = protections_alloc(bytes, align, zeroed, call, &plain);
    errno = saved;
    if (p == NULL)
        p = plain ? front_watched_plain(bytes, align, zeroed) : plain_no_memory();
    if (p != NULL && modes_has(MODE_PERTURB)) {
        perturb_alloc(p, plain ? plain_usable(p) : bytes);
        *zeroed = false;
    }
    if (UNLIKELY(weight != 0) && p != NULL) {
        profile_allocated(p, bytes, weight, call);
        profile_changed();
    }
    return p;
}

static void free_block(const struct protection *row, void *p, const char *call, size_t bytes, size_t align) {
    bool changed = modes_has(MODE_PROFILE) && profile_freeing(p);
    if (row != NULL) {
        judge_free(row, p, call, bytes, align);
    } else if (!protections_adopt(p, call)) {
        if (modes_has(MODE_PERTURB))
            perturb_free(p, plain_usable(p));
        plain_free(p, call);
    }
    if (UNLIKELY(changed))
        profile_changed();
}

/* False if there is no block, which is reported. */
static bool size_block(const struct protection *row, const void *p, const char *call, size_t *bytes) {
    if (row != NULL)
        return judge_size(row, p, call, bytes);
    *bytes = plain_usable(p);
    if (*bytes == 0)
        plain_report_missing(p, call, false);
    return *bytes != 0;
}

/* ---- resizing ---------------------------------------------------------------------------------------------------- */

/* A plain block that stays in its place or moves its pages; NULL if its bytes must be copied. */
static void *resize_plain(void *p, size_t old, size_t bytes) {
    void *resized = bytes > old / 2 ? plain_resize(p, bytes) : NULL; /* a large one also gives back what it loses */
    if (resized == NULL)
        return bytes <= old && bytes >= old / 2 ? p : NULL;
    size_t usable = plain_usable(resized);
    if (usable > old)
        perturb_alloc((char *)resized + old, usable - old);
    return resized;
}

/* The same for any block. Where all blocks are protected, a plain one from before must move. */
static void *resize_unprofiled(const struct protection *row, void *p, size_t old, size_t bytes, const char *call) {
    if (row == NULL)
        return protections_serve_all() ? NULL : resize_plain(p, old, bytes);
    void *resized = row->resize != NULL ? row->resize(p, old, bytes, call) : NULL;
    if (resized != NULL && bytes > old)
        perturb_alloc((char *)resized + old, bytes - old);
    return resized;
}

static void *resize_uncopied(const struct protection *row, void *p, size_t old, size_t bytes, const char *call) {
    if (!modes_has(MODE_PROFILE))
        return resize_unprofiled(row, p, old, bytes, call);
    struct profile_record was = profile_resizing(p);
    void *resized = resize_unprofiled(row, p, old, bytes, call);
    bool same = resized == p && (row != NULL ? bytes : plain_usable(p)) == old;
    profile_resized(&was, resized, bytes, same, call);
    profile_changed();
    return resized;
}

static void *move(const struct protection *row, void *p, size_t old, size_t bytes, const char *call) {
    bool zeroed;
    void *fresh = alloc_block(bytes, BLOCK_ALIGN, &zeroed, call);
    if (fresh == NULL)
        return NULL;
    memcpy(fresh, p, min_size(old, bytes));
    free_block(row, p, call, UNSIZED, 0);
    return fresh;
}

/* A block that cannot be copied to a smaller place stays where it is: shrinking does not fail. */
static void *resize_block(const struct protection *row, void *p, size_t old, size_t bytes, const char *call) {
    int saved = errno;
    void *resized = resize_uncopied(row, p, old, bytes, call);
    if (resized == NULL)
        resized = move(row, p, old, bytes, call);
    if (resized != NULL || bytes > old)
        return resized;
    if (row != NULL)
        judge_shrink(row, p, bytes, call);
    errno = saved;
    return p;
}

/* ---- interface --------------------------------------------------------------------------------------------------- */

void *front_watched_alloc(size_t bytes, size_t align, bool *zeroed, const char *call) {
    arrive(call);
    void *p = alloc_block(bytes, align, zeroed, call);
    observers_allocated(p, bytes, align, call);
    return p;
}

void front_watched_free(void *p, const char *call, size_t bytes, size_t align) {
    arrive(call);
    observers_freeing(p);
    free_block(protections_of(p), p, call, bytes, align);
}

void *front_watched_realloc(void *p, size_t bytes, const char *call) {
    size_t old;
    arrive(call);
    const struct protection *row = protections_of(p);
    if (!size_block(row, p, call, &old))
        return plain_no_memory();
    struct leaks_record was = observers_resizing(p);
    void *resized = resize_block(row, p, old, bytes, call);
    observers_resized(&was, p, old, resized, bytes);
    return resized;
}

size_t front_watched_usable(const void *p, const char *call) {
    size_t bytes;
    return size_block(protections_of(p), p, call, &bytes) ? bytes : 0;
}
