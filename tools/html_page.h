/* SPDX-License-Identifier: MIT */
/* A page for a browser that is filled in at one place, which has @DATA@. */
#ifndef TOOLS_HTML_PAGE_H
#define TOOLS_HTML_PAGE_H

#include <stdio.h>

/* Writes what stands before that place. Returns what is to be written behind it. */
const char *html_page_begin(FILE *out, const char *page);

#endif
