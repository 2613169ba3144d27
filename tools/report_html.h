/* SPDX-License-Identifier: MIT */
/* Call stacks as a page for a browser, in one file that needs nothing else: report_page.html with the stacks in it. */
#ifndef TOOLS_REPORT_HTML_H
#define TOOLS_REPORT_HTML_H

#include <stdio.h>

#include "stacks.h"

/* `of`: what it is about, one line. */
void report_html(FILE *out, const struct stacks *stacks, enum heap_kind kind, bool is_change, const char *of);

#endif
