/* SPDX-License-Identifier: MIT */
/* Near is a name that begins with the word, or that one mistake, or of a longer word two, turn into the word: a letter that is
   missing, one too many, another one, or two that have changed places (Damerau's distance, without changes inside of what has
   changed places). */
#include "spelling.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 32, ONE_MISTAKE = 6 }; /* up to so many letters a second mistake would make it any word */

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* How many mistakes; both are shorter than LONGEST. */
static size_t distance(const char *from, const char *to)
{
    size_t rows[LONGEST + 1][LONGEST + 1], width = strlen(to), height = strlen(from);

    for (size_t y = 0; y <= height; y++) {
        for (size_t x = 0; x <= width; x++) {
            if (!x || !y) {
                rows[y][x] = x + y;
                continue;
            }
            rows[y][x] = least(rows[y - 1][x - 1] + (from[y - 1] != to[x - 1]), least(rows[y - 1][x], rows[y][x - 1]) + 1);
            if (x > 1 && y > 1 && from[y - 1] == to[x - 2] && from[y - 2] == to[x - 1])
                rows[y][x] = least(rows[y][x], rows[y - 2][x - 2] + 1);
        }
    }
    return rows[height][width];
}

/* Whether the word is the beginning of the name, of two letters at least. */
static bool begins(const char *word, const char *name)
{
    return strlen(word + strspn(word, "-")) > 1 && !strncmp(word, name, strlen(word));
}

struct spelling spelling_start(const char *word)
{
    size_t length = strlen(word + strspn(word, "-"));

    return (struct spelling){word, NULL, length > ONE_MISTAKE ? 3 : 2};
}

void spelling_offer(struct spelling *spelling, const char *name)
{
    size_t found, letters = strlen(name + strspn(name, "-"));

    if (strlen(name) >= LONGEST || strlen(spelling->word) >= LONGEST)
        return;
    found = begins(spelling->word, name) ? 1 : distance(spelling->word, name);
    if (found < spelling->distance && found < letters) {
        spelling->nearest = name;
        spelling->distance = found;
    }
}

const char *spelling_hint(const struct spelling *spelling, const char *otherwise)
{
    static char text[LONGEST + 32];

    if (!spelling->nearest)
        return otherwise;
    snprintf(text, sizeof text, "did you mean '%s'?", spelling->nearest);
    return text;
}
