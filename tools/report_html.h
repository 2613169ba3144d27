/* SPDX-License-Identifier: MIT */
/* Call stacks as a page for a browser, in one file that needs nothing else: report_page.html with the stacks in it. */
#ifndef TOOLS_REPORT_HTML_H
#define TOOLS_REPORT_HTML_H

#include <stdio.h>

#include "report_table.h"

/* `moments`: of a timeline, one for each of the samples'; else NULL. */
void report_html(FILE *out, const struct stacks *stacks, const struct table_form *form, const struct moment *moments);

#endif
