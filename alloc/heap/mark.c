/* SPDX-License-Identifier: MIT */
#include "heap/mark.h"

#include "os/os.h"
#include "kit/report.h"
#include "heap/span.h"

static bool is_in_class(const void *p, unsigned class) {
    const struct span *span = (uintptr_t)p % BLOCK_ALIGN == 0 ? span_find(p) : NULL;
    return span != NULL && span->state == SPAN_SMALL && span->class == class;
}

/* What free has put on a list lies in a span of the class and has the mark, be it the start of a block or not. */
void mark_refuse_link(const struct block *from, const struct block *to, unsigned class) {
    if (is_in_class(to, class) && mark_is_on(to))
        report_misuse("free", to, INVALID_POINTER);
    report_overwritten_link(from, to, class_bytes(class));
}

/* The unit map says nothing of a class while lists are off, of wide classes, and of memory beyond its window. */
void mark_check_link_slow(const struct block *from, const struct block *to, unsigned class) {
    if (!is_in_class(to, class))
        mark_refuse_link(from, to, class);
}

size_t mark_chain_length(const struct block *chain, unsigned class) {
    size_t length = 0;
    for (const struct block *from = NULL, *block = chain; block != NULL; from = block, block = block->next) {
        mark_check_link(from, block, class);
        if (++length > UINT16_MAX) /* no list is so long: it leads back into itself */
            mark_refuse_link(from, block, class);
    }
    return length;
}
