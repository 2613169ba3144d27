/* SPDX-License-Identifier: MIT */
/* Texts of any bytes as strings of JSON. */
#ifndef TOOLS_JSON_TEXT_H
#define TOOLS_JSON_TEXT_H

#include <stdio.h>

/* Writes the text between quotes. What is no UTF-8 becomes U+FFFD; < and > are written by their numbers, so that the string may
   stand in a script of a page. */
void json_text(FILE *out, const char *text);

#endif
