/* SPDX-License-Identifier: MIT */
#include "protect/protections.h"

#include "kit/modes.h"
#include "heap/aside.h"
#include "heap/plain.h"
#include "protect/check.h"
#include "protect/guarded.h"
#include "protect/hardened_mapped.h"
#include "protect/hardened_small.h"
#include "protect/judge.h"

/* Guarded pages first, for they take few allocations. Blocks of the checks last: they lie in plain ones, from which only their
 * records tell them. */
static const struct protection *const rows[] = {&guarded_protection, &hardened_small_protection, &hardened_mapped_protection,
                                                &check_protection};
#define PROTECTIONS (sizeof rows / sizeof *rows)

static bool is_on(const struct protection *row) {
    return modes_has(row->mode);
}

/* *all: whether a row was asked that serves all. */
static void *alloc_once(size_t bytes, size_t align, bool *zeroed, const char *call, bool *all) {
    *all = false;
    for (size_t i = 0; i < PROTECTIONS && !*all; i++) {
        void *p = is_on(rows[i]) ? rows[i]->alloc(bytes, align, zeroed, call) : NULL;
        if (p != NULL)
            return p;
        *all = is_on(rows[i]) && rows[i]->serves_all;
    }
    return NULL;
}

/* No quarantine is given up for a size that there is no memory for anyway. */
void *protections_alloc(size_t bytes, size_t align, bool *zeroed, const char *call, bool *plain) {
    bool all;
    void *p = alloc_once(bytes, align, zeroed, call, &all);
    *plain = p == NULL && !all;
    if (p != NULL || *plain || bytes > SIZE_LIMIT / 2)
        return p;
    protections_trim(true);
    return alloc_once(bytes, align, zeroed, call, &all);
}

const struct protection *protections_of(const void *p) {
    const struct protection *last = NULL;
    for (size_t i = 0; i < PROTECTIONS; i++) {
        if (!is_on(rows[i]))
            continue;
        if (rows[i]->owns(p))
            return rows[i];
        if (rows[i]->serves_all)
            last = rows[i];
    }
    return last != NULL && plain_start(p) != p ? last : NULL;
}

bool protections_serve_all(void) {
    bool all = false;
    for (size_t i = 0; i < PROTECTIONS; i++)
        all |= rows[i]->serves_all && is_on(rows[i]);
    return all;
}

bool protections_adopt(void *p, const char *call) {
    size_t bytes = 0;
    for (size_t i = 0; i < PROTECTIONS; i++)
        if (rows[i]->adopt != NULL && is_on(rows[i]) && (bytes = plain_usable(p)) != 0 && rows[i]->adopt(p, bytes, call))
            return true;
    return false;
}

size_t protections_trim(bool all) {
    size_t bytes = 0;
    for (size_t i = 0; i < PROTECTIONS; i++)
        if (rows[i]->trim != NULL && is_on(rows[i]))
            bytes += rows[i]->trim(all);
    return bytes;
}

void protections_check(const char *call) {
    if (aside_is_on())
        return;
    for (size_t i = 0; i < PROTECTIONS; i++)
        if (is_on(rows[i]))
            judge_all(rows[i], call);
}

void protections_count(unsigned mode, struct protection_totals *totals) {
    *totals = (struct protection_totals){0};
    for (size_t i = 0; i < PROTECTIONS; i++) {
        struct protection_totals row = {0};
        if ((rows[i]->mode & mode) != 0 && rows[i]->count != NULL)
            rows[i]->count(&row);
        totals->blocks += row.blocks;
        totals->bytes += row.bytes;
        totals->taken += row.taken;
        totals->samples += row.samples;
    }
}

void protections_each_range(protection_see_range *see, void *data) {
    for (size_t i = 0; i < PROTECTIONS; i++)
        if (rows[i]->each_range != NULL)
            rows[i]->each_range(see, data);
}

void protections_walk(struct walk *walk) {
    for (size_t i = 0; i < PROTECTIONS; i++)
        rows[i]->walk(walk);
}

const struct protection *protections_near(const void *p, struct fault_block *block) {
    *block = (struct fault_block){0};
    for (size_t i = 0; i < PROTECTIONS; i++)
        if (rows[i]->near != NULL && is_on(rows[i]) && rows[i]->near(p, block))
            return rows[i];
    return NULL;
}

bool protections_is_no_root(const void *p) {
    for (size_t i = 0; i < PROTECTIONS; i++)
        if (rows[i]->is_no_root != NULL && rows[i]->is_no_root(p))
            return true;
    return false;
}
