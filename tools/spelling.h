/* SPDX-License-Identifier: MIT */
/* The name that somebody meant who wrote another one. */
#ifndef TOOLS_SPELLING_H
#define TOOLS_SPELLING_H

#include <stddef.h>

struct spelling {
    const char *word, *nearest; /* of the names offered so far; NULL: none is near */
    size_t distance;
};

struct spelling spelling_start(const char *word);
void spelling_offer(struct spelling *spelling, const char *name);

/* "did you mean 'NEAREST'?", or what else helps if no name is near. The text is valid until the next call. */
const char *spelling_hint(const struct spelling *spelling, const char *otherwise);

#endif
