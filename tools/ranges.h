/* SPDX-License-Identifier: MIT */
/* Arrays of what lies in a range of addresses: an element of any structure that begins with two uint64_t, where it starts and
   where it ends. ranges_first and ranges_find take arrays by address, in which no two overlap. */
#ifndef TOOLS_RANGES_H
#define TOOLS_RANGES_H

#include <stddef.h>
#include <stdint.h>

/* By start, for qsort. */
int ranges_order(const void *one, const void *other);

/* The first of `count` elements, of `element` bytes each, that ends behind the address; `count` if there is none. */
size_t ranges_first(const void *list, size_t count, size_t element, uint64_t address);

/* The one that the address lies in, or NULL. */
const void *ranges_find(const void *list, size_t count, size_t element, uint64_t address);

#endif
