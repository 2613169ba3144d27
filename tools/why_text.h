/* SPDX-License-Identifier: MIT */
/* Where the resident memory of a process is, as text for people. */
#ifndef TOOLS_WHY_TEXT_H
#define TOOLS_WHY_TEXT_H

#include "why_advice.h"

/* Writes it to standard output; of each list the first rows only, unless `all`. */
void why_text(const struct why *why, bool all);

#endif
