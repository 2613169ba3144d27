/* SPDX-License-Identifier: MIT */
/*
 * The checks behind mcheck(), MALLOC_CHECK_ and MYALLOC_OPTIONS=check:N. A checked block lies in a plain one:
 *
 *     | canary (16 bytes, or the alignment) | the program's bytes, exactly what it asked for | canary (16 bytes) |
 *
 * What is known about it (size, call and callers of its allocation and of its free) is in a record far from it, found
 * by the block's address. A freed block stays in quarantine, filled with a pattern, until newer ones push it out.
 *
 * H1 a record is LIVE or FREED and is found by its block's address; no two have the same.
 * H2 the canaries of every block that has its memory hold what check_enter wrote, or the program wrote there.
 * H3 FREED records are in the quarantine, in the order of their frees; those that still have their memory hold the
 *    pattern, or the program wrote there. They are at most QUARANTINE_BLOCKS and their bytes at most QUARANTINE_BYTES.
 *
 * A canary byte has its top bit set, so that neither a NUL nor a character passes for one. Freed blocks above
 * QUARANTINE_LARGE give their memory back at once and leave the record, so that a second free is still told. Memory
 * refused for a record is memory refused for the block: there is none without.
 *
 * Lock: LOCK_CHECK; it is never held while the program's abort function runs or a backtrace is taken.
 */
#ifndef MYALLOC_CHECK_H
#define MYALLOC_CHECK_H

#include "base/base.h"
#include "base/glibc.h"
#include "kit/lock.h"

#define QUARANTINE_BYTES (4 * MIB)
#define QUARANTINE_LARGE (1 * MIB)
#define QUARANTINE_BLOCKS 16384

/* Bytes of the plain block that a checked one needs; SIZE_MAX if there is no such number. */
size_t check_room(size_t bytes, size_t align);

/* Makes a checked block of `bytes` out of a plain one of check_room bytes that is aligned to `align`. NULL if memory
 * for the record is refused. */
void *check_enter(void *plain, size_t bytes, size_t align, const char *call);

enum check_state { CHECK_UNUSED, CHECK_LIVE, CHECK_FREED, CHECK_DETACHED };

struct check_record {
    struct check_record *newer, *older; /* FREED: the quarantine; UNUSED: `older` is the next one */
    char *block, *plain;                /* plain is NULL once the memory is gone */
    size_t bytes;
    const char *alloc_call, *free_call;
    uint32_t alloc_stack, free_stack; /* stacks.h */
    size_t align;
    uint8_t state, pattern;
    bool bare; /* has no canaries: was no checked block before it was freed */
    bool told; /* that its memory is damaged: said once, where it is said and not told to a function */
};

enum check_result {
    CHECK_DONE,
    CHECK_UNKNOWN, /* no block that the checks know, nothing said or done */
    CHECK_REFUSED, /* a fault that was reported; the call must have no effect */
};

/* Looks at a live block, and for a free or realloc at what the call says of it. Reports what is wrong; CHECK_REFUSED
 * only if it is not live. `bytes` may be UNSIZED (SIZE_MAX), `align` 0. *size is the block's. */
enum check_result check_look(const void *p, const char *call, size_t bytes, size_t align, size_t *size);

/* The size of a live block, without looking at it. Reports a block that has been freed. */
enum check_result check_size(const void *p, const char *call, size_t *size);

/* Puts a live block into quarantine. *plain is the plain block to free, or NULL. */
enum check_result check_leave(void *p, const char *call, void **plain);

/* Puts a plain block into quarantine that the checks did not know. False if memory for the record is refused. */
bool check_adopt(void *p, size_t bytes, const char *call);

/* The plain block of what is to leave the quarantine because it is over its bounds, or because `all` must leave; looked
 * at. NULL if nothing is left to do. The caller frees it. */
void *check_overdue(bool all);

/* Takes a live block out while its plain block is resized, which must leave it aligned, and back in. Detaching returns
 * NULL if it is not live; attaching cannot fail. */
struct check_record *check_detach(void *p, void **plain);
void *check_attach(struct check_record *record, void *plain, size_t bytes, const char *call);

/* True if `p` lies in the table, which holds addresses of blocks. */
bool check_is_table(const void *p);

/* True if a known block lies in the plain block that starts here. */
bool check_holds(const void *plain);

/* Reports a pointer that is no block. */
void check_invalid(const void *p, const char *call);

/* Looks at every block, hardened ones too, and reports what is wrong. */
void check_all(const char *call);

/* What every watched call starts with: check_all if mcheck_pedantic asked for it. */
void check_pedantic(const char *call);

/* mcheck(3): the function that is told of faults instead of a message and an end, NULL for those. */
void check_set_handler(void (*handler)(enum mcheck_status), bool pedantic);

/* mprobe(3), for a block that the checks know: CHECK_UNKNOWN else. A fault is reported before it is returned. */
enum check_result check_probe(const void *p, const char *call, enum mcheck_status *status);

/* Looks whether H1 and H3 hold, but not at what the program may have written: that is check_all's. Takes the lock. */
struct walk;
void check_walk(struct walk *walk);

extern HIDDEN const struct lock_set check_locks;

#endif
