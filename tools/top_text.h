/* SPDX-License-Identifier: MIT */
/* Watched processes as lines of text: a table of all, or all that is known of one. */
#ifndef TOOLS_TOP_TEXT_H
#define TOOLS_TOP_TEXT_H

#include "sheet.h"
#include "watch.h"

/* By what the table can be sorted: names for it, ended by NULL. */
extern const char *const top_orders[];

/* Sorts the processes, the largest first; by number, the smallest. */
void top_sort(struct watch *watch, size_t order);

/* The table, after a line of sums. `rows`: the most lines in all, 0 for no bound; `chosen`: the number of a process that is
   marked, and in view, or 0; `order`: a place in top_orders, that the first line names. */
void top_text_all(struct sheet *sheet, const struct watch *watch, size_t order, int chosen, size_t rows);

/* One process. Classes beyond `rows` lines are left out, from the least on; 0 for no bound. */
void top_text_one(struct sheet *sheet, const struct watched *watched, size_t rows);

/* What has happened in a round: a line each of the first `most`, and how many there were more. */
void top_text_events(struct sheet *sheet, const struct events *events, size_t most);

/* Copies the name of a process as printable ASCII; returns `out`. */
char *top_name(char out[64], const char name[64]);

#endif
