/* SPDX-License-Identifier: MIT */
#include "kit/random.h"

#include <string.h>

#include "os/os.h"

static uint32_t epoch = 1; /* of this process; a generator of another epoch has a seed from before a fork */

static inline uint32_t turn(uint32_t word, int bits) {
    return word << bits | word >> (32 - bits);
}

static inline void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d) {
    *a += *b, *d = turn(*d ^ *a, 16);
    *c += *d, *b = turn(*b ^ *c, 12);
    *a += *b, *d = turn(*d ^ *a, 8);
    *c += *d, *b = turn(*b ^ *c, 7);
}

void random_block(const uint32_t key[8], uint64_t counter, unsigned rounds, uint32_t out[16]) {
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, x[16]; /* "expand 32-byte k" */
    memcpy(start + 4, key, 8 * sizeof *key);
    start[12] = (uint32_t)counter;
    start[13] = (uint32_t)(counter >> 32);
    memcpy(x, start, sizeof x);
    for (unsigned round = 0; round < rounds; round += 2) {
        for (unsigned i = 0; i < 4; i++) /* columns */
            quarter(&x[i], &x[4 + i], &x[8 + i], &x[12 + i]);
        for (unsigned i = 0; i < 4; i++) /* diagonals */
            quarter(&x[i], &x[4 + (i + 1) % 4], &x[8 + (i + 2) % 4], &x[12 + (i + 3) % 4]);
    }
    for (unsigned i = 0; i < 16; i++)
        out[i] = x[i] + start[i];
}

static COLD void refill_slow(struct random *random) {
    if (random->epoch != epoch) {
        os_random(random->key, sizeof random->key);
        random->counter = 0;
        random->epoch = epoch;
    }
    random_block(random->key, random->counter++, RANDOM_ROUNDS, random->words);
    random->left = 16;
}

uint32_t random_word(struct random *random) {
    if (random->left == 0 || random->epoch != epoch)
        refill_slow(random);
    return random->words[--random->left];
}

/* A random word times `below` has its result in the high half. Some results would come from one word more than others;
 * drawing again while the low half is less than 2^32 modulo `below` makes them equal (D. Lemire, "Fast random integer
 * generation in an interval", 2019). */
uint32_t random_below(struct random *random, uint32_t below) {
    uint64_t product = (uint64_t)random_word(random) * below;
    if ((uint32_t)product < below) {
        uint32_t surplus = -below % below;
        while ((uint32_t)product < surplus)
            product = (uint64_t)random_word(random) * below;
    }
    return (uint32_t)(product >> 32);
}

static void child(void) {
    epoch++;
}

const struct lock_set random_locks = {.rank = LOCK_NONE, .child = child};
