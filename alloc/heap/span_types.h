/* SPDX-License-Identifier: MIT */
/*
 * What a span is: a run of units of a region, free or in use. Its structure is that of its first unit, the head; span.h says
 * what those of the other units are (S1). They lie apart from the units, so that a program's overflow cannot reach them.
 */
#ifndef MYALLOC_SPAN_TYPES_H
#define MYALLOC_SPAN_TYPES_H

#include "base/base.h"

enum span_state {
    SPAN_NONE,  /* no head: inside or at the end of a LARGE span, inside a FREE one, or a hole of foreign memory */
    SPAN_FREE,
    SPAN_TAIL,  /* last unit of a FREE span of several */
    SPAN_SMALL, /* cut into blocks of one class */
    SPAN_PART,  /* inside a SMALL span */
    SPAN_LARGE, /* one block, or a slab (slab.h) */
    SPAN_HELD,  /* by one thread, that works on its memory without the lock: nobody else may take, merge, resize or free it */
    SPAN_SHELVED, /* free, on a shelf (span_shelf.h) */
    SPAN_CACHED, /* was LARGE, and is free: a thread keeps it for its next large block (cache_large.h) */
};

/* One for each unit of a region. The word before a colon is the state in which a span has that field. The fields are under
 * LOCK_SPANS, but of a SMALL span next, prev, few_bits, idle_pages, returned_pages, live, carved, listed and what stands behind
 * that are under the lock of its class. */
struct span {
    union {
        struct { struct span *next, *prev; };       /* SMALL: other spans of the class with blocks to give */
        struct { struct span *next_held; const void *holder; }; /* HELD, SMALL and apart: the next; lock_self() of the thread */
    };
    union {
        struct { struct span *left, *right; }; /* FREE: the tree by size and address */
        uint64_t few_bits[3];           /* SMALL: blocks at home, if these are bits enough (span_home) */
    };
    uint32_t units;             /* head: length */
    union {
        uint32_t head;          /* PART, TAIL: unit index of the head */
        _Atomic uint32_t shard; /* SMALL: which one of its class has it; changes under the locks of both (central.h) */
    };
    union {
        uint32_t dirty;         /* FREE: how many of the units are dirty */
        _Atomic uint16_t shelf; /* LARGE, HELD, CACHED: whose tract it lies in, from 1 on; 0: none (span_shelf.h) */
        struct { uint16_t idle_pages, returned_pages; }; /* each unit of a SMALL one: its OS pages, a bit each (home.h) */
    };
    uint16_t live;              /* SMALL: blocks that are not home */
    uint16_t carved;            /* SMALL: blocks cut so far, from the start */
    uint16_t capacity;          /* SMALL: blocks that fit */
    uint8_t class;              /* SMALL; LARGE: that of its slots if it is a slab, else 0 (slab.h) */
    uint8_t state;              /* enum span_state */
    uint8_t region;             /* index into regions, set on first use */
    bool listed;                /* SMALL: is on its class's list; HELD: is one block still */
    _Atomic uint8_t in_class;   /* SMALL: its class, from the class's taking it until its letting it go; 0 of all other units */
    bool kept : 1;              /* FREE: for small spans only, as long as there is other memory (span_free_keep) */
    bool paged : 1;             /* SMALL: a unit's idle_pages or returned_pages may have bits */
    bool apart : 1;             /* SMALL: one thread gives pages of it back, without the lock: nobody takes blocks */
    bool fresh : 1;             /* SMALL: what is not carved was never touched and has no memory */
};
_Static_assert(sizeof(struct span) == CACHE_LINE, "span structures do not share cache lines");
_Static_assert(UNIT / OS_PAGE_MIN <= 16, "a unit's pages are the bits of a uint16_t");

#define PAGES_A_UNIT (UNIT / OS_PAGE)

/* What the page heap holds, in units; written under the lock. What is atomic is also read without it. What lies on shelves
 * counts as large (span_shelf.h). */
struct span_totals {
    size_t free, free_count, large, large_count;
    _Atomic size_t small, free_dirty;
};
extern HIDDEN struct span_totals span_totals;

#endif
