/* SPDX-License-Identifier: MIT */
#include "heap/bins.h"

THREAD_LOCAL struct cache cache_self;
