/* SPDX-License-Identifier: MIT */
#include "observe/tags.h"

#include <stdatomic.h>
#include <string.h>

#include "heap/bins.h"

#define PLACES (2 * TAGS_MOST)
#define TAG_OTHER (TAGS_MOST - 1)

static struct word {
    char text[TAG_ROOM];
} words[TAGS_MOST] BIG_TABLE;
static _Atomic uint16_t places[PLACES] BIG_TABLE; /* by hash; numbers, 0: free */
static _Atomic unsigned last;

/* Returns the hash. */
static unsigned copy(const char *word, struct word *out) {
    unsigned hash = 0;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i + 1 < sizeof out->text && word[i] != '\0'; i++) {
        unsigned char c = (unsigned char)word[i];
        out->text[i] = c < 0x20 || c == 0x7f ? '?' : word[i];
        hash = hash * 31 + (unsigned char)out->text[i];
    }
    return hash ^ hash >> 16;
}

/* A number for a new word; TAG_OTHER if there is none. */
static unsigned add(const struct word *word) {
    unsigned number = atomic_load(&last) < TAG_OTHER - 1 ? atomic_fetch_add(&last, 1) + 1 : TAG_OTHER;
    if (number >= TAG_OTHER)
        return TAG_OTHER;
    words[number] = *word;
    return number;
}

unsigned tags_number(const char *text) {
    struct word word;
    unsigned added = 0;
    if (text == NULL || text[0] == '\0')
        return 0;
    for (unsigned at = copy(text, &word) % PLACES;;) {
        uint16_t number = atomic_load_explicit(&places[at], memory_order_acquire);
        if (number == 0) {
            added = added != 0 ? added : add(&word);
            if (added == TAG_OTHER ||
                atomic_compare_exchange_strong_explicit(&places[at], &number, (uint16_t)added, memory_order_acq_rel,
                                                        memory_order_acquire))
                return added;
        }
        if (memcmp(&words[number], &word, sizeof word) == 0)
            return number;
        at = (at + 1) % PLACES;
    }
}

const char *tags_word(unsigned number) {
    return number == 0 ? NULL : number == TAG_OTHER ? "(more tags)" : words[number].text;
}

void tags_set(const char *word) {
    cache_self.tag = (uint16_t)tags_number(word);
}

unsigned tags_current(void) {
    return cache_self.tag;
}
