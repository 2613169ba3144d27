/* SPDX-License-Identifier: MIT */
/*
 * A protection: a way to hand out blocks in which misuse is found. Each has its own idea of where blocks lie and of what
 * surrounds them; what they have in common is here, as a row of functions. The rows stand in one table (protections.h), in the
 * order in which they are asked for a block; which are on is told by the modes (modes.h). A call for a block of any of them is
 * found, judged, let go of and told in one place (judge.h).
 *
 * Functions that may be NULL say what that means. Those under "one block" are called by judge.c only, between `lock` and
 * `unlock` for the same pointer, but for `release`. All others take the locks they need.
 */
#ifndef MYALLOC_PROTECTION_H
#define MYALLOC_PROTECTION_H

#include "base/base.h"
#include "protect/fault.h"

struct walk;

/* What a pointer is to a protection. */
enum found {
    FOUND_NOTHING, /* no block of its is there */
    FOUND_NEAR,    /* it points into a block or beside one, or to one that another thread is moving */
    FOUND_FREED,   /* a block started there until it was freed */
    FOUND_LIVE,    /* a block starts there */
};

struct protection_totals {
    size_t blocks, bytes; /* live ones, as the program asked */
    size_t taken;         /* bytes of the memory that they lie in, charged (budget.h) */
    size_t samples;       /* blocks ever, where that is counted */
};

/* Of a range: whether blocks lie in it, or records. */
typedef void protection_see_range(const void *start, size_t bytes, bool blocks, void *data);

/* How far a look at all blocks has come; all 0 at the start. What the numbers mean is the protection's. */
struct protection_cursor {
    size_t at[2];
};

struct protection {
    unsigned mode;   /* the bit of enum mode that turns it on */
    bool serves_all; /* what it refuses is refused: no row behind it is asked, and no plain block takes its place */

    /* A block of `bytes` (0 allowed) aligned to `align`, a power of two. *zeroed tells if it holds nothing but zeros. NULL if
     * it is not this allocation's turn, or if the OS refuses; errno may have changed then. */
    void *(*alloc)(size_t bytes, size_t align, bool *zeroed, const char *call);

    /* Resizes a live block of `old` bytes without copying it; it may move. NULL if that cannot be done, nothing has changed
     * then. May be NULL: a block always moves when it is resized, so that what still points to the old one is found. */
    void *(*resize)(void *p, size_t old, size_t bytes, const char *call);

    /* Takes a plain block of `bytes` that is being freed, so that what is done with it later is found. False if it does not.
     * May be NULL: it never does. */
    bool (*adopt)(void *p, size_t bytes, const char *call);

    /* Gives memory without blocks back; with `all`, what is in quarantine too. Returns the bytes that the OS got. May be
     * NULL. */
    size_t (*trim)(bool all);

    /* True if a call for `p` is to be judged by this protection: its blocks, live and freed ones, and what lies among them. */
    bool (*owns)(const void *p);

    /* ---- one block --------------------------------------------------------------------------------------------------- */

    void (*lock)(const void *p);
    void (*unlock)(const void *p);

    /* What is at `p`, any address. *block is what is known of the block; unchanged for FOUND_NOTHING. */
    enum found (*find)(const void *p, struct fault_block *block);

    /* Looks at the memory of the block that starts at `p`, live or freed, and at the end of the neighbour before. Sets kind
     * and offset of the fault if something is wrong. If the damage is the neighbour's, `fault->block` names that one. What was
     * reported before is not reported again, unless `again`. */
    void (*look)(const void *p, bool again, struct fault *fault);

    /* Frees a live block: it goes to the quarantine. Faults of blocks that leave the quarantine for it are added. What is
     * returned is handed to `release` when the lock has been let go; `release` may be NULL. */
    void *(*retire)(void *p, const char *call, uint32_t stack, struct fault_list *faults);
    void (*release)(void *left, const char *call);

    /* Makes a live block smaller where it is. */
    void (*shrink)(void *p, size_t bytes, const char *call, uint32_t stack);

    /* What else there is to say of its faults; may be NULL. */
    void (*more)(struct finding *finding);

    /* ---- all blocks -------------------------------------------------------------------------------------------------- */

    /* Looks at blocks from the cursor on until faults are found, which are added to the empty list and the cursor stands behind
     * them; false at the end. May be NULL: nothing can be seen but when a block is freed. */
    bool (*look_on)(struct protection_cursor *cursor, struct fault_list *faults);

    /* May be NULL: its blocks are counted as plain ones. */
    void (*count)(struct protection_totals *totals);

    /* Calls `see` with each range of addresses that its blocks lie in, and with those of its records that are not in memory of
     * budget_map (kit/own.h). May be NULL: its blocks lie in plain ones. */
    void (*each_range)(protection_see_range *see, void *data);

    /* Looks whether its invariants hold. */
    void (*walk)(struct walk *walk);

    /* True if what lies at `p` is no root for the leak report: memory that its blocks share, or records that hold addresses of
     * blocks. May be NULL. */
    bool (*is_no_root)(const void *p);

    /* Where an access has trapped: true if the address is among those that this protection keeps from being touched. *block is
     * then what is known of the nearest block, live or freed; unchanged if none is near. Asked by the handler of a signal: it
     * waits for no lock, and what other threads do at the moment may be half seen. May be NULL: no access traps. */
    bool (*near)(const void *p, struct fault_block *block);
};

#endif
