/* SPDX-License-Identifier: MIT */
/*
 * What the checks (check.h) know of each block: its record, in a chunk of records far from the program's data, found by the
 * block's address. A record is never given back, but used again. Everything here is under the lock of check.h, LOCK_CHECK.
 *
 * H1 a record is LIVE or FREED and is found by its block's address; no two have the same.
 */
#ifndef MYALLOC_CHECK_RECORDS_H
#define MYALLOC_CHECK_RECORDS_H

#include "base/base.h"

#define CHUNK_RECORDS 127 /* of 64 bytes: eight chunks fill the 64 KiB that region_meta takes from the OS at a time */

enum check_state {
    CHECK_UNUSED,
    CHECK_LIVE,
    CHECK_FREED,
    CHECK_DETACHED, /* its plain block is being resized: not in the table */
};

struct check_record {
    char *block, *plain; /* plain is NULL once the memory is gone */
    size_t bytes;
    const char *alloc_call, *free_call;
    uint32_t alloc_stack, free_stack; /* stacks.h */
    int alloc_thread, free_thread;    /* lives (kit/thread_names.h) */
    uint32_t place;                   /* FREED: its place in the quarantine's ring */
    uint8_t state, pattern, align_shift;
    bool bare : 1;     /* has no canaries: was no checked block before it was freed */
    bool reported : 1; /* its damage was printed already (mcheck's function is told each time) */
};

struct check_chunk {
    struct check_chunk *next;
    struct check_record records[CHUNK_RECORDS];
};

/* All chunks, the newest first; those that are there stay where they are. */
extern HIDDEN struct check_chunk *check_chunks;

/* The record of the block that starts there; NULL if there is none. */
struct check_record *check_record_find(const void *block);

/* The block, or another that will lie there, is looked for soon. */
void check_record_expect(const void *block);

/* Enters a copy of what is known of a block, LIVE or FREED, of which there is no record. NULL if memory for it is refused. */
struct check_record *check_record_enter(const struct check_record *known);

/* The block is forgotten. */
void check_record_drop(struct check_record *record);

/* A live block is not found for a moment; then again, and its address may have changed. Attaching cannot fail. */
void check_record_detach(struct check_record *record);
void check_record_attach(struct check_record *record);

/* In the child of a fork: threads that are gone attach nothing any more. */
void check_records_forked(void);

/* True if `p` points into the table that finds records, which holds addresses of blocks. */
bool check_records_cover(const void *p);

/* Looks whether H1 holds. */
struct walk;
void check_records_walk(struct walk *walk);

#endif
