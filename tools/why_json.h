/* SPDX-License-Identifier: MIT */
/* Where the resident memory of a process is, as JSON. */
#ifndef TOOLS_WHY_JSON_H
#define TOOLS_WHY_JSON_H

#include <stdio.h>

#include "why_advice.h"

/* Writes one object, all of it. With `picture` it has what lies in the units of the heap, too, for the page (why_page.html). */
void why_json(FILE *out, const struct why *why, bool picture);

#endif
