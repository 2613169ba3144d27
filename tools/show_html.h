/* SPDX-License-Identifier: MIT */
/* What a recording has as a page for a browser, which needs nothing else. */
#ifndef TOOLS_SHOW_HTML_H
#define TOOLS_SHOW_HTML_H

#include <stdio.h>

#include "lives.h"

void show_html(FILE *out, const struct recording *recording, const struct lives *lives);

#endif
