/* SPDX-License-Identifier: MIT */
/*
 * What the files of the central lists share (central.h): the classes in use, and their shards. central_shards.c says which
 * shard a thread uses, central.c hands blocks out and takes them back, central_walk.c looks at all that is there;
 * observe/page.c tells where the counts of classes lie.
 *
 * A class has one *shard*, or several: each with a lock, spans and a transfer cache of its own, used by the threads of some
 * processors. So threads of different processors do not wait for each other, and a block that one frees is mostly taken again
 * where its lines are. A class is split, into twice as many, when threads of several processors are seen to take its lock in
 * turn; small classes are not. A shard that has nothing takes from others, a whole span at a time, before there is a new span,
 * so that the memory stays what it was. Nothing depends on where a thread is: the processor's number is a hint.
 */
#ifndef MYALLOC_CENTRAL_CLASS_H
#define MYALLOC_CENTRAL_CLASS_H

#include <stdatomic.h>

#include "base/sizeclass.h"
#include "kit/lock.h"
#include "heap/span.h"
#include "heap/transfer.h"

#define SHARDS_MOST 16 /* a power of two */

/* A class, or of one that was split one of its shards. */
struct class {
    struct transfer transfer;
    struct lock lock;
    uint8_t index;         /* the class's number */
    uint8_t shard;         /* which one this is, from 0 */
    uint8_t units[2];      /* of its spans, and of grown ones (class_units) */
    uint8_t gone_home;     /* chains that went home, modulo 256 */
    uint16_t size;         /* bytes of a block */
    _Atomic uint16_t borrowed; /* bytes lost so far by borrowing blocks that are larger */
    uint32_t reciprocal;   /* for class_position */
    _Atomic uint32_t out;  /* blocks that are not at home (C4), modulo 2^32; read without the lock as well */
    struct span *spans;    /* those with blocks to give (C1), the one that was last full first */
    struct span *held;     /* those that are apart */
    _Atomic uint32_t span_count, grown_count; /* its spans; those of them that have grown */
    uint32_t processor;    /* on which the lock was last taken for blocks, */
    uint8_t moves;         /* and how often on another than before, since the class was last split */
    uint8_t looked_at;     /* the shard that was last looked at in turn, modulo SHARDS_MOST */
    uint64_t transit_seen; /* says which chains were in the transfer cache at the last look (holes.c) */
} LINE_ALIGNED;

/* In the order of first use, so that a small program touches one page of them, and fork only the locks that are used. */
extern HIDDEN struct class central_classes[(CLASS_COUNT - 1) * SHARDS_MOST];
extern HIDDEN _Atomic unsigned central_class_count;

/* While a class or a shard is used for the first time. fork holds it, so that none is added meanwhile. */
extern HIDDEN struct lock central_first_use_lock;

/* NULL if the class, or the shard, was never used. The first shard of a class that was used is there. */
struct class *central_find_shard(unsigned index, unsigned shard);
static inline struct class *central_find_class(unsigned index) {
    return central_find_shard(index, 0);
}

/* The shards of the class that were used, one after the other: *n begins as 0. NULL behind the last. */
struct class *central_next_shard(unsigned index, unsigned *n);

/* The shard that this thread uses now. */
struct class *central_shard_here(unsigned index);

/* The shard's lock has been taken for blocks: counts that, and splits the class where it is time. */
void central_visited_locked(struct class *class);

/* Other shards that are looked at where this one has nothing: those whose number differs by one bit, and one in turn. *n begins
 * as 0. False behind the last; NULL in *other for one that was never used. */
bool central_next_near_locked(struct class *class, unsigned *n, struct class **other);

/* Whether the shard has the span, a SMALL one of its class; which shard has it, as far as is known without its lock. A block of
 * the span that is not at home keeps it from being released, but not from going to another shard. */
static inline bool central_owns(const struct class *class, const struct span *span) {
    return atomic_load_explicit(&span->shard, memory_order_relaxed) == class->shard;
}
struct class *central_owner(unsigned index, const struct span *span);

/* The class that has the span, as far as is known without its lock; 0 if none has it. */
static inline unsigned class_of_span(const struct span *span) {
    return atomic_load_explicit(&span->in_class, memory_order_relaxed);
}

/* The shard of the class that has the span, locked, if the class still has it; else NULL, and nothing is locked. */
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

/* Sends all parked, stacked and adopted chains of the shard home. */
void central_flush_class(struct class *class);

#endif
