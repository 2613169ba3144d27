/* SPDX-License-Identifier: MIT */
/*
 * The build-id that a linker has put into a module, from the module's headers as they lie in memory: it names the very build,
 * whatever happens to its file.
 */
#ifndef MYALLOC_BUILD_ID_H
#define MYALLOC_BUILD_ID_H

#include "base/base.h"

#define BUILD_ID_MOST 20                       /* bytes; linkers make 8 to 20 */
#define BUILD_ID_ROOM (2 * BUILD_ID_MOST + 1)  /* for it in hexadecimal digits */

/* Reads `bytes` of memory into `out`; false if they are not there. */
typedef bool build_id_reader(const void *from, void *out, size_t bytes);

/* For a module that stays as it is meanwhile. */
build_id_reader build_id_copy;

/* Puts the digits of the module whose headers lie at `header` into `digits`, "" if it has none or `read` is refused. A linker
 * script may have put the headers elsewhere than where the first segment begins; then there is none either. */
void build_id_find(const void *header, build_id_reader *read, char digits[BUILD_ID_ROOM]);

#endif
