/* SPDX-License-Identifier: MIT */
/* Lines of text as they are made up for the terminal or for a pipe: of bounded width, each in one style, and figures in few
   characters. */
#ifndef TOOLS_SHEET_H
#define TOOLS_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum style { STYLE_PLAIN, STYLE_HEAD, STYLE_TELL, STYLE_CHOSEN };
enum { LINE_BYTES = 1024, FIGURE_BYTES = 16 };

struct line {
    char text[LINE_BYTES];
    enum style style;
};

struct sheet {
    struct line *lines;
    size_t count, room;
    size_t columns; /* what is longer is cut */
    bool is_wide;   /* characters beyond ASCII can be shown */
};

/* Whether the user's locale has characters beyond ASCII. */
bool sheet_locale_is_wide(void);

/* Adds a line. If there is no memory, it is left out. */
void sheet_add(struct sheet *sheet, enum style style, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A figure of at most 5 characters with a unit of powers of 1024, and a sixth for the sign of a change. Returns `out`. */
char *figure_bytes(char out[FIGURE_BYTES], double value);
char *figure_change(char out[FIGURE_BYTES], double value, bool is_known);

/* The same of what is counted, in powers of 1000. */
char *figure_count(char out[FIGURE_BYTES], double value);
char *figure_rate(char out[FIGURE_BYTES], double value, bool is_known);

/* A picture of values in `cells` characters, each the largest of its part of them, from the smallest to the largest value.
   `out` has room for three bytes a cell and the end. */
void sheet_spark(const struct sheet *sheet, char *out, const uint64_t *values, size_t count, size_t cells);

/* A bar of `cells` characters, of which `part` (0 to 1) is full; room as above. */
void sheet_bar(const struct sheet *sheet, char *out, double part, size_t cells);

void sheet_free(struct sheet *sheet);

#endif
