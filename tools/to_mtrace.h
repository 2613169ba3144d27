/* SPDX-License-Identifier: MIT */
/* A recording as a log of mtrace(3), which glibc's script `mtrace` reads. */
#ifndef TOOLS_TO_MTRACE_H
#define TOOLS_TO_MTRACE_H

#include <stdio.h>

#include "recording.h"

/* Writes it. NULL, or what is wrong with the recording. */
const char *to_mtrace(FILE *out, const struct recording *recording);

#endif
