/* SPDX-License-Identifier: MIT */
#include "protect/check_records.h"

#include "base/address_map.h"
#include "base/freelist.h"
#include "kit/budget.h"
#include "kit/report.h"
#include "heap/region.h"

struct entry {
    char *block;
    struct check_record *record;
};

struct check_chunk *check_chunks;
static void *unused; /* records, linked as freelist.h does it */
static struct address_map records = ADDRESS_MAP(struct entry);
static size_t detached; /* records that are not in the map for a moment, and for which it has room */
static THREAD_LOCAL bool detached_here; /* one of them is this thread's, which a forked child has, too */

struct check_record *check_record_find(const void *block) {
    const struct entry *entry = address_map_find(&records, block);
    return entry != NULL ? entry->record : NULL;
}

void check_record_expect(const void *block) {
    address_map_prefetch(&records, block);
}

static void insert(struct check_record *record) {
    ((struct entry *)address_map_insert(&records, record->block))->record = record;
}

static void erase(const struct check_record *record) {
    address_map_remove(&records, address_map_find(&records, record->block));
}

static bool chunk_add(void) {
    struct check_chunk *chunk = region_meta(sizeof *chunk);
    if (chunk == NULL)
        return false;
    chunk->next = check_chunks;
    check_chunks = chunk;
    for (size_t i = 0; i < CHUNK_RECORDS; i++)
        freelist_push(&unused, &chunk->records[i]);
    return true;
}

struct check_record *check_record_enter(const struct check_record *known) {
    if ((unused == NULL && !chunk_add()) || !budget_grow_map(&records, detached + 1))
        return NULL;
    struct check_record *record = freelist_pop(&unused);
    *record = *known;
    insert(record);
    return record;
}

void check_record_drop(struct check_record *record) {
    erase(record);
    record->state = CHECK_UNUSED;
    freelist_push(&unused, record);
}

void check_record_detach(struct check_record *record) {
    erase(record);
    record->state = CHECK_DETACHED;
    detached++;
    detached_here = true;
}

void check_record_attach(struct check_record *record) {
    record->state = CHECK_LIVE;
    insert(record);
    detached--;
    detached_here = false;
}

void check_records_forked(void) {
    detached = detached_here;
}

bool check_records_cover(const void *p) {
    return address_map_covers(&records, p);
}

void check_records_walk(struct walk *walk) {
    size_t found = 0;
    for (const struct check_chunk *chunk = check_chunks; chunk != NULL; chunk = chunk->next)
        for (size_t i = 0; i < CHUNK_RECORDS; i++) {
            const struct check_record *record = &chunk->records[i];
            if (record->state != CHECK_LIVE && record->state != CHECK_FREED)
                continue;
            found++;
            report_walk(walk, check_record_find(record->block) == record, "check H1", record);
        }
    report_walk(walk, found == records.count, "check H1", &records);
    const void *lost = address_map_verify(&records);
    report_walk(walk, lost == NULL, "check H1", lost);
}
