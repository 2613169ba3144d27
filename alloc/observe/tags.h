/* SPDX-License-Identifier: MIT */
/*
 * Tags: a word that a thread puts on what it allocates from now on, as the profile tells it (myalloc_tag). The words are copied
 * and kept for good, each once, under a number that fits the key of a call site; what they are called with need not stay.
 *
 * No lock: a word is written before its number is entered, and never changes; who loses a race for a place looks again.
 */
#ifndef MYALLOC_TAGS_H
#define MYALLOC_TAGS_H

#include "base/base.h"

#define TAGS_MOST 1024 /* numbers: 0 is no tag, the last one stands for all that there is no more room for */
#define TAG_ROOM 48    /* longer words are cut */

/* The number of a word, in which control characters count as '?'. 0 for NULL and "". */
unsigned tags_number(const char *word);

/* The word of a number; NULL for 0. */
const char *tags_word(unsigned number);

/* This thread's tag; new threads have none. */
void tags_set(const char *word);
unsigned tags_current(void);

#endif
