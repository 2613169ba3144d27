/* SPDX-License-Identifier: MIT */
/* Samples as people read them: call stacks of names, in which inlined functions have their own place. */
#ifndef TOOLS_STACKS_H
#define TOOLS_STACKS_H

#include "samples.h"

/* A function, or a line of one. */
struct name {
    char *label;
    const char *function, *file; /* file: "" if unknown */
    int line;                    /* 0: unknown, or not asked for */
    size_t number;
    int64_t lived[HEAP_LIVES];       /* of what it has itself */
    struct heap_amounts flat, total; /* what it has itself, and what it and those have that it called; now less before */
    const void *seen;                /* of stacks.c */
};

struct stack {
    struct name **names; /* the outermost first, at least one */
    size_t depth;
    struct heap_amounts before, now, change;
    int64_t lived[HEAP_LIVES];
    struct heap_amounts *moments; /* in each snapshot of the samples; NULL if there are none */
};

struct stacks {
    struct name **names;
    struct stack **list;
    size_t name_count, name_room, count, room;
    void *name_tree, *tree;
    const struct samples *samples;
    struct heap_amounts change; /* of all */
};

enum stacks_by {
    STACKS_BY_FUNCTION,
    STACKS_BY_LINE, /* a name is a line of a function */
    STACKS_BY_TAG   /* a stack is one name: the tag, or that there is none */
};

/* Of samples that are named. Where one has a tag, that is the outermost name, as "[tag WORD]". */
void stacks_make(struct stacks *stacks, const struct samples *samples, enum stacks_by by);

/* Puts the names, or the stacks, with the largest flat bytes of this kind first; what grew and what shrank alike. */
void stacks_sort_names(struct stacks *stacks, enum heap_kind kind);
void stacks_sort(struct stacks *stacks, enum heap_kind kind);

#endif
