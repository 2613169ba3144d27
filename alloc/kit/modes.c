/* SPDX-License-Identifier: MIT */
#include "kit/modes.h"

_Atomic unsigned modes_active = MODE_START;

/* Beside the other, which slow paths read anyway. */
_Atomic uint32_t modes_knock __attribute__((section(".data")));
