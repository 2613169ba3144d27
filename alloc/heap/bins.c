/* SPDX-License-Identifier: MIT */
#include "heap/bins.h"

THREAD_LOCAL struct cache cache_self;
_Atomic uint8_t cache_lists_wanted;
