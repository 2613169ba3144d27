/* SPDX-License-Identifier: MIT */
/*
 * Numbers that nobody can guess: ChaCha with 8 rounds, seeded by the kernel (os_random). A generator has no lock of its own:
 * one thread uses it at a time. It seeds itself at its first use, and anew at its first use in the child of a fork, because
 * the child would otherwise draw the numbers that its parent draws. Eight rounds, as hardened_malloc has: the best published
 * attack reaches seven.
 */
#ifndef MYALLOC_RANDOM_H
#define MYALLOC_RANDOM_H

#include "base/base.h"
#include "kit/lock.h"

#define RANDOM_ROUNDS 8

/* Zeroed memory is a generator that is not seeded yet. */
struct random {
    uint32_t key[8];
    uint64_t counter;
    uint32_t words[16];
    unsigned left;  /* words not given out yet */
    uint32_t epoch; /* how many forks led to the process that seeded this, from 1; 0: not seeded */
};

/* The ChaCha block function (D. J. Bernstein, 2008) of a 256-bit key, a 64-bit counter and a nonce of 0. `rounds` is even. */
void random_block(const uint32_t key[8], uint64_t counter, unsigned rounds, uint32_t out[16]);

uint32_t random_word(struct random *random);

/* A number from 0 to below - 1, each as likely as the others; `below` is not 0. */
uint32_t random_below(struct random *random, uint32_t below);

static inline uint64_t random_long(struct random *random) {
    uint64_t high = random_word(random);
    return high << 32 | random_word(random);
}

/* In the child of a fork all generators are seeded anew. */
extern HIDDEN const struct lock_set random_locks;

#endif
