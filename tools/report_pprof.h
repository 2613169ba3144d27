/* SPDX-License-Identifier: MIT */
/* pprof's profile.proto, in gzip's form: sample types alloc_objects, alloc_space, inuse_objects and inuse_space, which is the
   default; mappings, locations with inlined functions, and on each sample what was called and the size class. Of two profiles
   values are those of the second less those of the first, as of `pprof -diff_base`. */
#ifndef TOOLS_REPORT_PPROF_H
#define TOOLS_REPORT_PPROF_H

#include <stdbool.h>
#include <stdio.h>

#include "samples.h"

/* gzip_load must have been successful. False if not all could be written. */
bool report_pprof(FILE *out, const struct samples *samples);

#endif
