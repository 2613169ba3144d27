/* SPDX-License-Identifier: MIT */
/* Watched processes as JSON. */
#ifndef TOOLS_TOP_JSON_H
#define TOOLS_TOP_JSON_H

#include "watch.h"

/* A round as one object in one line, to standard output; with the classes of each process if only one is watched. Rates are
   null as long as they are not known. */
void top_json(const struct watch *watch);

#endif
