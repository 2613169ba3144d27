/* SPDX-License-Identifier: MIT */
/*
 * Canaries: bytes around a block that only a fault changes. A canary is a function of a secret and of the address, so that it
 * can neither be guessed nor copied from elsewhere. Each of its bytes is 10xxxxxx in binary: neither a NUL, nor a character,
 * nor 0xff passes for one, so an off-by-one write of those is always found. A canary may have a NUL in it, which ends a
 * string that lacks its own before the string shows what lies behind; a NUL written there is not found. Whoever writes a
 * canary and whoever looks at it must agree on the secret and on the place of the NUL; the range looked at may be shorter
 * than the one written.
 */
#ifndef MYALLOC_CANARY_H
#define MYALLOC_CANARY_H

#include <string.h>

#include "base/base.h"

/* For the eight bytes at `at`, a multiple of 8. */
static inline uint64_t canary_word(uint64_t secret, uintptr_t at) {
    uint64_t mixed = (secret ^ at) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32 ^ secret) * UINT64_C(0xbf58476d1ce4e5b9);
    return ((mixed ^ mixed >> 29) & UINT64_C(0x3f3f3f3f3f3f3f3f)) | UINT64_C(0x8080808080808080);
}

/* Where the NUL of a canary in [from, to) is, if it has one: the fifth byte from its end, so that it lies next to no block;
 * NULL if the canary is too short for that. */
static inline const char *canary_nul(const char *from, const char *to) {
    return to - from >= 8 ? to - 5 : NULL;
}

/* For the eight bytes at `at`, with the NUL if it is one of them. */
static inline uint64_t canary_word_of(uint64_t secret, const char *at, const char *nul) {
    uint64_t word = canary_word(secret, (uintptr_t)at);
    if ((uintptr_t)nul - (uintptr_t)at < sizeof word)
        ((unsigned char *)&word)[nul - at] = 0;
    return word;
}

static inline unsigned char canary_byte(uint64_t secret, const char *at, const char *nul) {
    uint64_t word = canary_word_of(secret, (const char *)((uintptr_t)at & ~(uintptr_t)7), nul);
    return ((unsigned char *)&word)[(uintptr_t)at & 7];
}

/* Fills [from, to); `to` is a multiple of 8. `nul` is canary_nul, or NULL for a canary without. */
static inline void canary_write(uint64_t secret, char *from, char *to, const char *nul) {
    for (; from < to && ((uintptr_t)from & 7) != 0; from++)
        *from = (char)canary_byte(secret, from, nul);
    for (; from < to; from += 8) {
        uint64_t word = canary_word_of(secret, from, nul);
        memcpy(from, &word, sizeof word);
    }
}

/* The first byte in [from, to) that has changed, or `to`, which is a multiple of 8. */
static inline const char *canary_look(uint64_t secret, const char *from, const char *to, const char *nul) {
    for (; from < to && ((uintptr_t)from & 7) != 0; from++)
        if ((unsigned char)*from != canary_byte(secret, from, nul))
            return from;
    for (; from < to; from += 8) {
        uint64_t word = canary_word_of(secret, from, nul), there;
        memcpy(&there, from, sizeof there);
        if (there != word) {
            while ((unsigned char)*from == canary_byte(secret, from, nul))
                from++;
            return from;
        }
    }
    return to;
}

/* The last byte in [from, to) that has changed; NULL if none has. `to` is a multiple of 8. Mostly none has, which is seen word
 * by word. */
static inline const char *canary_look_back(uint64_t secret, const char *from, const char *to, const char *nul) {
    if (canary_look(secret, from, to, nul) == to)
        return NULL;
    while (to-- > from)
        if ((unsigned char)*to != canary_byte(secret, to, nul))
            return to;
    return NULL;
}

/* Position of the first byte that is not zero, or `bytes`; both are multiples of 8. */
static inline size_t canary_zeros(const char *p, size_t bytes) {
    size_t at = 0;
    for (uint64_t word; at < bytes; at += sizeof word) {
        memcpy(&word, p + at, sizeof word);
        if (word != 0) {
            while (p[at] == 0)
                at++;
            return at;
        }
    }
    return bytes;
}

#endif
