/* SPDX-License-Identifier: MIT */
/* The areas of a core file, and which of their pages hold something. Which pages were resident it does not tell: the kernel
   leaves out those without memory, but who else writes or copies core files may put zeros there, so a page of zeros is none. */
#ifndef TOOLS_CORE_AREAS_H
#define TOOLS_CORE_AREAS_H

#include "areas.h"
#include "core_file.h"

/* Reads them; `resident` of an area is what of it holds something. Returns 0, or errno. */
int core_areas_read(const struct core_file *core, struct areas *areas, struct runs *pages);

#endif
