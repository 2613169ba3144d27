/* SPDX-License-Identifier: MIT */
#include "observe/profile.h"

#include <stdatomic.h>

#include "base/sizeclass.h"
#include "os/os.h"
#include "kit/modes.h"
#include "kit/probe.h"
#include "kit/report.h"
#include "heap/cache_counted.h"
#include "heap/mode_switch.h"
#include "heap/plain.h"
#include "heap/slab.h"
#include "callers/stacks.h"
#include "callers/unwind.h"
#include "protect/protections.h"
#include "observe/tags.h"

static _Atomic bool samples; /* else there are records only */
static _Atomic size_t present_interval;

size_t profile_interval(void) {
    return atomic_load(&present_interval);
}

bool profile_is_on(void) {
    return atomic_load(&samples);
}

void profile_on(size_t interval, uint64_t seed) {
    while (seed == 0)
        os_random(&seed, sizeof seed);
    unwind_prepare();
    atomic_store(&present_interval, interval);
    cache_counted_plan(interval, seed);
    atomic_store(&samples, true);
    mode_switch_on(MODE_PROFILE);
    mode_switch_count(true);
}

void profile_off(void) {
    atomic_store(&samples, false);
    mode_switch_count(false);
}

/* ---- allocations ------------------------------------------------------------------------------------------------- */

/* The class by whose lists it is served, 0 if by none. */
static unsigned class_for(size_t bytes, size_t align) {
    bytes = max_size(bytes, 1);
    unsigned class = align > BLOCK_ALIGN ? class_of_aligned(bytes, align) : bytes <= SMALL_MAX ? class_of(bytes) : 0;
    return class < FAST_CLASSES ? class : 0;
}

uint64_t profile_due(size_t bytes, size_t align) {
    if (!atomic_load_explicit(&samples, memory_order_relaxed) || bytes > SIZE_LIMIT)
        return 0;
    return cache_counted_due(class_for(bytes, align), max_size(bytes, 1));
}

void *profile_alloc(size_t bytes, size_t align) {
    unsigned class = class_for(bytes, align);
    return class != 0 && !protections_serve_all() ? slab_alloc(class) : NULL;
}

/* Frees of plain blocks on lists are seen only while a mode is on that sees all for good. */
static bool is_seen(const void *p) {
    unsigned class = plain_class(p);
    return class == 0 || class >= FAST_CLASSES || protections_serve_all();
}

void profile_allocated(const void *p, size_t bytes, uint64_t weight, const char *call) {
    if (!is_seen(p))
        return;
    struct profile_record record = {.block = (uintptr_t)p, .weight = weight, .bytes = bytes, .call = call};
    record.stack = stacks_capture();
    record.time = os_clock_ms();
    record.life = report_thread_life();
    if (profile_table_add(&record, class_for(bytes, BLOCK_ALIGN), tags_current()) && probe_alloc_is_on())
        probe_alloc(record.block, bytes, profile_table_weighted(&record));
}

static void tell_free(const struct profile_record *record) {
    if (probe_free_is_on() && record->block != 0)
        probe_free(record->block, 0, 0);
}

static void end(const struct profile_record *record) {
    if (record->block != 0)
        profile_table_end(record, os_clock_ms());
    tell_free(record);
}

bool profile_freeing(const void *p) {
    struct profile_record record = profile_table_remove(p);
    end(&record);
    return record.block != 0;
}

struct profile_record profile_resizing(const void *p) {
    return profile_table_remove(p);
}

void profile_resized(const struct profile_record *was, const void *p, size_t bytes, bool same, const char *call) {
    if (p == NULL || same) {
        if (!profile_table_put_back(was))
            tell_free(was);
        return;
    }
    end(was);
    uint64_t weight = profile_due(bytes, BLOCK_ALIGN);
    if (weight != 0)
        profile_allocated(p, bytes, weight, call);
}
