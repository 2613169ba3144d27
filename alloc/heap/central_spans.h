/* SPDX-License-Identifier: MIT */
/*
 * The spans of a shard: how they come to it and leave it, how blocks are taken out of them and come home. The lock of the shard
 * is held where a name ends in _locked; which spans a shard has, C1 to C4 (central.h) say.
 */
#ifndef MYALLOC_CENTRAL_SPANS_H
#define MYALLOC_CENTRAL_SPANS_H

#include "base/freelist.h"
#include "heap/central_class.h"

/* A new span becomes one of the shard. */
void central_add_span_locked(struct class *class, struct span *span);

/* The first span of the list of another shard becomes one of this one: what is at home of it, and what is to come home. The
 * locks of both are held. */
void central_move_span_locked(struct class *class, struct class *other);

/* Takes blocks of the first span of the list, of which there is one: up to a batch of what is at home, or at most `most` new
 * ones, rounded up to whole cache lines. */
void *central_take_spans_locked(struct class *class, size_t most, size_t *count);

/* Sends those blocks of the chain home that lie in spans of this shard. A span whose blocks are all home leaves the class for
 * the list *empty. The other blocks are put before the chain `others`, which is returned, for central_others_home_slow once the
 * lock is left. */
struct block *central_chain_home_locked(struct class *class, struct block *chain, struct block *others, struct span **empty);
COLD void central_others_home_slow(unsigned index, struct block *chain, struct span **empty);

/* Reports a block that is at home already, or a link that leads to none: that of `from`; NULL if that is not known. The lock is
 * left before, because the program may have a handler for SIGABRT that allocates. */
_Noreturn COLD void central_wrong_home_locked(struct class *class, const struct block *from, const struct block *block,
                                              bool twice);

/* Takes a span off the list, so that nobody takes blocks out of it, while this thread gives pages of it to the OS without the
 * lock. Blocks may come home meanwhile. Then puts it back, or on *empty if all its blocks are home. */
void central_hold_locked(struct class *class, struct span *span);
void central_unhold_locked(struct class *class, struct span *span, struct span **empty);

/* Gives the spans on list `empty` to the page heap. Caller holds no class lock. */
void central_release_all(struct span *empty);

#endif
