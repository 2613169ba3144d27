/* SPDX-License-Identifier: MIT */
/* Where the resident memory of a process is, as a page for a browser. */
#ifndef TOOLS_WHY_HTML_H
#define TOOLS_WHY_HTML_H

#include <stdio.h>

#include "why_advice.h"

void why_html(FILE *out, const struct why *why);

#endif
