/* SPDX-License-Identifier: MIT */
/* What the unit tests of spans share. */
#ifndef TESTS_SPANS_H
#define TESTS_SPANS_H

#include <criterion/criterion.h>

#include "heap/span.h"

static struct span *large(size_t units) {
    bool zeroed;
    struct span *span = span_acquire_large(units, UNIT, &zeroed);
    cr_assert_not_null(span);
    return span;
}

#endif
