/* SPDX-License-Identifier: MIT */
/*
 * The terminal as a screen of lines with keys, by the sequences that every terminal since the VT100 knows. A library for it
 * (ncurses) would have to be there wherever this is built, for a dozen sequences.
 *
 * Whatever ends or stops the program by a signal that can be caught, the terminal is left as it was found: the signal takes its
 * usual effect once that is done, and when the program goes on, the screen is taken again.
 */
#ifndef TOOLS_SCREEN_H
#define TOOLS_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "sheet.h"

/* Keys that are no characters. */
enum { KEY_NONE = 256, KEY_UP, KEY_DOWN, KEY_RIGHT, KEY_LEFT, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_ESCAPE, KEY_RESIZE, KEY_END };

/* Takes the terminal, which standard input and output must be. False if it cannot move its cursor, or refuses. */
bool screen_open(void);

/* Leaves it as it was. */
void screen_close(void);

/* Its size now. */
void screen_size(size_t *columns, size_t *rows);

/* Shows lines from the top on, as many as fit; `keys` in the last row. */
void screen_draw(const struct sheet *sheet, const char *keys);

/* Waits for a key at most so long. KEY_NONE: none came; KEY_RESIZE: draw anew; KEY_END: the terminal is gone. */
int screen_key(double seconds);

#endif
