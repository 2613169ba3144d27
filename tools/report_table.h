/* SPDX-License-Identifier: MIT */
/* Call stacks as a table for people. */
#ifndef TOOLS_REPORT_TABLE_H
#define TOOLS_REPORT_TABLE_H

#include "stacks.h"

struct table_form {
    enum heap_kind kind;
    bool is_exact;    /* whole numbers, not figures with a unit */
    bool has_stacks;  /* rows are call stacks, not functions */
    bool has_lives;   /* rows are functions by how long what they allocated lived, if it is free */
    bool is_change;   /* between profiles */
    bool is_by_tag;   /* names are tags */
    bool is_sampled;  /* not all blocks are recorded: how many samples a row rests on is told */
    size_t rows;      /* at most so many; 0: all */
    size_t columns;   /* what is longer is cut; 0: nothing is */
    bool has_colours, is_wide; /* wide: characters beyond ASCII can be shown */
    const char *of;   /* what it is about, for the first line */
};

/* To standard output. Names are sorted anew. */
void report_table(struct stacks *stacks, const struct table_form *form);

/* A snapshot. */
struct moment {
    const char *file;
    time_t written; /* 0: not known */
    struct heap_amounts totals;
};

/* A row for each, to standard output. */
void report_moments(const struct moment *moments, size_t count, const struct table_form *form);

/* The same with a column for each of the tags that have most: what each has of the form's kind. Stacks are by tag. */
void report_moments_by_tag(const struct stacks *stacks, const struct moment *moments, const struct table_form *form);

/* What a kind is, in few words. */
const char *report_kind(enum heap_kind kind);

#endif
