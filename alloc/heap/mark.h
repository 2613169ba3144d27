/* SPDX-License-Identifier: MIT */
/*
 * How a freed small block is known: by the mark in its second word. free compares it and writes it, malloc clears it; nobody
 * else writes there while the block is free, on whatever list or at home. So a second free of a block meets the mark however
 * long ago the first was and whoever made it. Without the mark are blocks that were never freed since their memory came from
 * the OS, and those at home in a page that was given back (holes.h), as that reads as zeros: a second free of such a block is
 * told when it comes home, where its bit is set. The mark alone proves nothing: a program may have copied
 * what it found in memory that it had not written. What is marked is looked for (double_free.h), and only what is found is
 * told.
 *
 * The first word is the link (base/freelist.h). It lies where a program that writes to a freed block writes first, so whoever
 * is about to follow a link or to hand it on looks whether it leads to a block of the class.
 *
 * The number is random and differs from process to process, so that it is in no program and an attacker who can write one word
 * cannot wipe it out unseen: a wrong mark is as none. Cost: three instructions a pair of malloc and free (heap/README.md).
 */
#ifndef MYALLOC_MARK_H
#define MYALLOC_MARK_H

#include "base/freelist.h"
#include "base/sizeclass.h"
#include "heap/unitmap.h"

static inline bool mark_is_on(const void *block) {
    return ((const struct block *)block)->mark == unitmap.mark;
}

static inline void mark_set(void *block) {
    ((struct block *)block)->mark = unitmap.mark;
}

static inline void mark_clear(void *block) {
    ((struct block *)block)->mark = 0;
}

/* Tells what a chain of the class has led to that is no free block of it, and aborts. `from` is the block whose link it was,
 * NULL if that is not known. If a call of free put `to` there, that is what was wrong; else the link was overwritten. Caller
 * holds no lock: the program may have a handler for SIGABRT that allocates. */
_Noreturn COLD void mark_refuse_link(const struct block *from, const struct block *to, unsigned class);

/* mark_refuse_link if `to` is neither NULL nor in a span of the class; _slow: it is not NULL. */
COLD void mark_check_link_slow(const struct block *from, const struct block *to, unsigned class);
static inline void mark_check_link(const struct block *from, const struct block *to, unsigned class) {
    if (to != NULL && UNLIKELY(unitmap_find(to) != class * CLASS_STEP))
        mark_check_link_slow(from, to, class);
}

/* Length of a chain, by walking it and looking at each link. */
size_t mark_chain_length(const struct block *chain, unsigned class);

#endif
