/* SPDX-License-Identifier: MIT */
/*
 * The table of protections, in the order in which they are asked for a block, and what is asked of all of them. A row counts
 * while its mode is on, but where the contract says that all rows do: blocks stay where they are, and modes are not turned off.
 */
#ifndef MYALLOC_PROTECTIONS_H
#define MYALLOC_PROTECTIONS_H

#include "protect/protection.h"

/* A block of the first row that gives one. NULL: *plain tells if a plain block is to take its place; otherwise memory is
 * refused, after all quarantines have been given up. errno may have changed. */
void *protections_alloc(size_t bytes, size_t align, bool *zeroed, const char *call, bool *plain);

/* The row that a call for `p` is to be judged by; NULL if that is the plain allocation's. Where every block comes from a row,
 * that row also judges what is no block at all. */
const struct protection *protections_of(const void *p);

/* True if every allocation is served by a row. */
bool protections_serve_all(void);

/* True if a row has taken the plain block at `p`, which is being freed. */
bool protections_adopt(void *p, const char *call);

/* Gives memory without blocks back; with `all`, what is in quarantine too. Returns the bytes that the OS got. */
size_t protections_trim(bool all);

/* Looks at all blocks, and reports what is wrong. */
void protections_check(const char *call);

/* The sums of the rows that a mode turns on, on or not. */
void protections_count(unsigned mode, struct protection_totals *totals);

/* Calls `see` with all rows' ranges, as each_range says. */
void protections_each_range(protection_see_range *see, void *data);

/* Looks whether the invariants of all rows hold. */
void protections_walk(struct walk *walk);

/* The row whose `near` says that an access to `p` has trapped among its blocks, and what it knows of the nearest: NULL for
 * none, and block->start NULL if no block is near. */
const struct protection *protections_near(const void *p, struct fault_block *block);

/* True if what lies at `p` is no root for the leak report, to any row. */
bool protections_is_no_root(const void *p);

#endif
