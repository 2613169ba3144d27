/* SPDX-License-Identifier: MIT */
#include "locks.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS = 1 << 18, FOREIGN_SHARE = 50, SECTIONS_LEAST = 4, MARKS = 7 };

bool locks_counted;
static struct lock_word words[WORDS];
static size_t words_used;

/* The entry of an address, or where it goes. */
static struct lock_word *word_of(uintptr_t address) {
    size_t at = (address >> 2) * 0x9e3779b97f4a7c15u >> 46;
    while (words[at].address != 0 && words[at].address != address)
        at = (at + 1) % WORDS;
    return &words[at];
}

static void release(struct lock_word *word, unsigned core, uint64_t now) {
    if (word->holder == core + 1 && locks_counted) {
        word->held += now > word->since ? now - word->since : 0;
        word->sections++;
    } else if (word->holder != core + 1 && word->holder != 0) {
        word->foreign++;
    }
    word->holder = 0;
    word->released = now;
}

bool lock_changed(uintptr_t address, uint64_t value, unsigned core, uint64_t begun, uint64_t now, bool allocator) {
    struct lock_word *word = word_of(address);
    if (word->address == 0) {
        if (value == 0 || words_used == WORDS / 2)
            return false;
        words_used++;
        word->address = address;
    }
    if (value == 0) {
        release(word, core, now);
    } else if (word->holder == 0) {
        word->holder = core + 1;
        word->value = value;
        word->first = word->first != 0 ? word->first : core + 1;
        word->shared |= word->first != core + 1;
        word->since = begun > word->released ? begun : word->released;
        word->allocator = allocator;
    } else {
        word->foreign += (value ^ word->value) > MARKS;
    }
    return true;
}

void lock_stored(uintptr_t address, uint64_t value, unsigned core, uint64_t now) {
    struct lock_word *word = word_of(address);
    if (word->address == address && value == 0)
        release(word, core, now);
    else if (word->address == address)
        word->foreign += word->holder != 0 && (value ^ word->value) > MARKS;
}

void locks_walk(void (*see)(const struct lock_word *lock, void *data), void *data) {
    for (size_t i = 0; i < WORDS; i++)
        if (words[i].shared && words[i].sections >= SECTIONS_LEAST && words[i].sections > words[i].foreign * FOREIGN_SHARE)
            see(&words[i], data);
}
