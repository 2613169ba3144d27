/* SPDX-License-Identifier: MIT */
#include "protect/check_records.h"

#include "kit/report.h"
#include "heap/region.h"

#define TABLE_MIN 512 /* buckets */
#define BLOCKS_A_BUCKET 2

struct check_chunk *check_chunks;
static struct check_record *unused;
static struct check_record **table;
static size_t table_size, record_count; /* buckets, a power of two; records in them */

static struct check_record **bucket_of(const void *block) {
    return &table[((uintptr_t)block / BLOCK_ALIGN * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (table_size - 1)];
}

struct check_record *check_record_find(const void *block) {
    struct check_record *record = table_size > 0 ? *bucket_of(block) : NULL;
    while (record != NULL && record->block != block)
        record = record->next;
    return record;
}

void check_record_insert(struct check_record *record) {
    struct check_record **bucket = bucket_of(record->block);
    record->next = *bucket;
    *bucket = record;
    record_count++;
}

void check_record_remove(struct check_record *record) {
    struct check_record **link = bucket_of(record->block);
    while (*link != record)
        link = &(*link)->next;
    *link = record->next;
    record_count--;
}

/* More buckets when they fill up; without memory for more they fill up further. */
static bool table_grow(void) {
    if (record_count < table_size * BLOCKS_A_BUCKET)
        return true;
    size_t old_size = table_size, size = old_size ? old_size * 2 : TABLE_MIN;
    struct check_record **old = table, **fresh = region_meta(size * sizeof *fresh);
    if (fresh == NULL)
        return old_size > 0;
    table = fresh;
    table_size = size;
    record_count = 0;
    for (size_t i = 0; i < old_size; i++)
        for (struct check_record *record = old[i], *next; record != NULL; record = next) {
            next = record->next;
            check_record_insert(record);
        }
    return true; /* the old table is not given back: all of them together are not larger than the new one */
}

static bool chunk_add(void) {
    struct check_chunk *chunk = region_meta(sizeof *chunk);
    if (chunk == NULL)
        return false;
    chunk->next = check_chunks;
    check_chunks = chunk;
    for (size_t i = 0; i < CHUNK_RECORDS; i++)
        check_record_drop(&chunk->records[i]);
    return true;
}

struct check_record *check_record_new(void) {
    if ((unused == NULL && !chunk_add()) || !table_grow())
        return NULL;
    struct check_record *record = unused;
    unused = record->next;
    *record = (struct check_record){0};
    return record;
}

void check_record_drop(struct check_record *record) {
    record->state = CHECK_UNUSED;
    record->next = unused;
    unused = record;
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
    report_walk(walk, found == record_count, "check H1", table);
}
