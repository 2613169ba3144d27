/* SPDX-License-Identifier: MIT */
/* The same in a static program. */
#include "../kernel/zeroed.c"
