/* SPDX-License-Identifier: MIT */
/*
 * What a profile knows: each live block that was sampled has a record, and what they stand for is summed up by call site: the
 * call stack, the function that was called, the size class, and the tag that its thread had (tags.h).
 *
 * A sample stands for `weight` allocations of its size. Sums are made of weights, so that what is added when a block is
 * allocated is taken away exactly when it is freed. Of each site there is what is live, what was allocated in all, and what was
 * live when all sites together were at their most. For that nothing is copied when a new peak is reached: a site keeps what it
 * had at the last peak when it next changes (`peaks`).
 *
 * Q1 what is live at a site is the sum of the records that name it, and totals.bytes that of all sites.
 * Q2 a record is taken away before its block is free and entered after it is handed out.
 *
 * Lock: LOCK_PROFILE, for table work alone, but for the tables' growth.
 */
#ifndef MYALLOC_PROFILE_TABLE_H
#define MYALLOC_PROFILE_TABLE_H

#include "base/base.h"
#include "kit/lock.h"

/* Lifetimes are told in decades: below 10 ms, 100 ms, 1 s, 10 s, 100 s, and longer. */
enum { PROFILE_LIVES = 6 };

struct profile_record {
    uintptr_t block;  /* the key of the table (base/address_map.h); 0: no record */
    uint64_t site;    /* key of its site */
    uint64_t weight;  /* allocations that it stands for, in 65,536ths (COUNTED_ONE) */
    size_t bytes;     /* as the program asked */
    uint64_t time;    /* os_clock_ms */
    const char *call; /* the function that allocated it; constant text */
    int life;         /* report_thread_life of the thread that did */
    uint32_t stack;   /* stacks.h; 0: unknown */
};

/* Of allocations in 65,536ths, and of bytes. */
struct profile_sum {
    uint64_t weight, bytes;
};

struct profile_site {
    uint64_t key; /* stack, class, call and tag; of the table */
    const char *call;
    uint32_t stack, epoch; /* peaks there had been when `peak` was kept */
    struct profile_sum live, all, peak;
    size_t samples; /* ever */
    uint64_t lived[PROFILE_LIVES]; /* weights of those that are freed, by how long they were live */
};

/* The table of records, for tools (observe/structures.h). A site's key has the class at this bit. */
#define PROFILE_CLASS_SHIFT 32
struct address_map;
extern HIDDEN struct address_map profile_records;

struct profile_totals {
    size_t sites, samples, live_samples;
    struct profile_sum live, all, peak;
    size_t refused; /* samples for which there was no memory */
};

/* Enters a sample; `class` is its size class, 0 for a larger one, `tag` a number of tags.h. The record's site is set here.
 * False if memory is refused. */
bool profile_table_add(struct profile_record *record, unsigned class, unsigned tag);

/* The parts of a site's key. */
static inline unsigned profile_key_class(uint64_t key) {
    return (unsigned)(key >> PROFILE_CLASS_SHIFT & 0xff);
}
static inline unsigned profile_site_tag(const struct profile_site *site) {
    return (unsigned)(site->key >> 53 & 0x3ff);
}

/* Takes the record of a block away and returns it; all 0 if there is none. */
struct profile_record profile_table_remove(const void *p);

/* Puts a record back that has been taken away, if it is one; false if memory is refused. Or counts how long its block, which is
 * free, has lived by now. */
bool profile_table_put_back(const struct profile_record *record);
void profile_table_end(const struct profile_record *record, uint64_t now);

/* Bytes of allocations that a record stands for. */
uint64_t profile_table_weighted(const struct profile_record *record);

/* A copy of all sites, in memory of budget_map of *room bytes; how many there are is in the totals. NULL if there are none, or
 * if memory is refused. */
struct profile_site *profile_table_copy(struct profile_totals *totals, size_t *room);

void profile_table_totals(struct profile_totals *totals);

/* True if `p` lies in the tables: no root for the leak report. */
bool profile_table_covers(const void *p);

/* Looks whether Q1 holds. While nobody else is in the allocator (all_locks.h). */
struct walk;
void profile_table_walk(struct walk *walk);

extern HIDDEN const struct lock_set profile_locks;

#endif
