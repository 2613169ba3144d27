/* SPDX-License-Identifier: MIT */
#include "kit/modes.h"

_Atomic unsigned modes_active = MODE_START;
