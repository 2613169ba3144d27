/* SPDX-License-Identifier: MIT */
/*
 * What the files of the central lists share (central.h): the classes in use, and a chain sent home. central.c hands blocks out
 * and takes them back, central_walk.c looks at all that is there; observe/page.c tells where
 * the counts of classes lie.
 */
#ifndef MYALLOC_CENTRAL_CLASS_H
#define MYALLOC_CENTRAL_CLASS_H

#include <stdatomic.h>

#include "base/sizeclass.h"
#include "kit/lock.h"
#include "heap/span.h"
#include "heap/transfer.h"

struct class {
    struct transfer transfer;
    struct lock lock;
    uint8_t index;         /* the class's number */
    uint8_t units[2];      /* of its spans, and of grown ones (class_units) */
    uint8_t gone_home;     /* chains that went home, modulo 256 */
    uint16_t size;         /* bytes of a block */
    _Atomic uint16_t borrowed; /* bytes lost so far by borrowing blocks that are larger */
    uint32_t reciprocal;   /* for class_position */
    _Atomic uint32_t out;  /* blocks that are not at home (C4), modulo 2^32; read without the lock as well */
    struct span *spans;    /* those with blocks to give (C1), the one that was last full first */
    struct span *held;     /* those that are apart */
    _Atomic uint32_t span_count, grown_count; /* its spans; those of them that have grown */
} LINE_ALIGNED;

/* In the order of first use, so that a small program touches one page of them, and fork only the locks that are used. */
extern HIDDEN struct class central_classes[CLASS_COUNT - 1];
extern HIDDEN _Atomic unsigned central_class_count;

/* NULL if the class was never used. */
struct class *central_find_class(unsigned index);

/* The class that has the span, as far as is known without its lock; 0 if none has it. */
static inline unsigned class_of_span(const struct span *span) {
    return atomic_load_explicit(&span->in_class, memory_order_relaxed);
}

/* The class, locked, if it still has the span; else NULL, and nothing is locked. */
struct class *central_lock_if_has(unsigned index, const struct span *span);

/* Bytes of the class's spans. */
static inline size_t class_memory(const struct class *class) {
    size_t grown = class->grown_count;
    return ((class->span_count - grown) * class->units[0] + grown * class->units[1]) * UNIT;
}

/* Bytes of its blocks that are not at home: in use, on threads' lists, in transit. */
static inline size_t class_out(const struct class *class) {
    return (size_t)atomic_load_explicit(&class->out, memory_order_relaxed) * class->size;
}

/* True if less than one in `part` of the class's bytes is out, and `least` are at home. */
static inline bool class_is_home(const struct class *class, size_t part, size_t least) {
    size_t memory = class_memory(class), out = class_out(class);
    return out * part < memory && memory - out >= least;
}

/* Sends a chain home. A span whose blocks are all home leaves the class for the list *empty. Caller holds the lock of the
 * class. */
void central_chain_home_locked(struct class *class, struct block *chain, struct span **empty);

/* Takes a span off the list, so that nobody takes blocks out of it, while this thread gives pages of it to the OS without the
 * lock. Blocks may come home meanwhile. Then puts it back, or on *empty if all its blocks are home. */
void central_hold_locked(struct class *class, struct span *span);
void central_unhold_locked(struct class *class, struct span *span, struct span **empty);

/* Sends all parked, stacked and adopted chains of the class home. */
void central_flush_class(struct class *class);

/* Gives the spans on list `empty` to the page heap. Caller holds no class lock. */
void central_release_all(struct span *empty);

#endif
