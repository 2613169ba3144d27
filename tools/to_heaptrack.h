/* SPDX-License-Identifier: MIT */
/* A recording as a file of heaptrack, as heaptrack_interpret makes them: heaptrack_print and heaptrack_gui read it. */
#ifndef TOOLS_TO_HEAPTRACK_H
#define TOOLS_TO_HEAPTRACK_H

#include <stdio.h>

#include "recording.h"

/* Writes it; where `name`, by which heaptrack tells the form, ends in .gz or .zst, compressed like that. NULL, or what is wrong
   with the recording, or which library is not there. */
const char *to_heaptrack(FILE *out, const char *name, const struct recording *recording);

#endif
