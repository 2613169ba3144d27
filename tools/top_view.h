/* SPDX-License-Identifier: MIT */
/* Watched processes on the terminal, with keys. */
#ifndef TOOLS_TOP_VIEW_H
#define TOOLS_TOP_VIEW_H

#include "watch.h"

/* Shows them, and looks anew every `interval` seconds, until the user ends it. Returns the exit status. */
int top_view(struct watch *watch, double interval, bool is_wide);

#endif
