/* SPDX-License-Identifier: MIT */
/*
 * Where what was freed waits: it takes the place of a random one of `length` that wait, which goes to the end of
 * a queue of `length` more. So a block is not used again before that many others were freed, and nobody knows when. Whoever
 * locks the generator locks this. Elements are numbers, 0 for none.
 */
#ifndef MYALLOC_QUARANTINE_H
#define MYALLOC_QUARANTINE_H

#include "kit/random.h"

struct quarantine {
    uint64_t *places; /* 2 * length of them: the random ones, then the queue */
    uint32_t length;
    uint32_t at;      /* the queue's oldest */
    uint32_t held;
};

/* Puts one in; returns the one that has waited long enough, 0 if there is none yet. */
static inline uint64_t quarantine_push(struct quarantine *quarantine, struct random *random, uint64_t fresh) {
    if (quarantine->length == 0)
        return fresh;
    uint64_t *place = &quarantine->places[random_below(random, quarantine->length)], moved = *place;
    *place = fresh;
    quarantine->held++;
    if (moved == 0)
        return 0;
    uint64_t *oldest = &quarantine->places[quarantine->length + quarantine->at], out = *oldest;
    *oldest = moved;
    quarantine->at = (quarantine->at + 1) % quarantine->length;
    quarantine->held -= out != 0;
    return out;
}

/* Takes any one out; 0 if none is held. */
static inline uint64_t quarantine_pull(struct quarantine *quarantine) {
    for (uint32_t i = 0; quarantine->held > 0 && i < 2 * quarantine->length; i++) {
        uint64_t out = quarantine->places[i];
        if (out == 0)
            continue;
        quarantine->places[i] = 0;
        quarantine->held--;
        return out;
    }
    return 0;
}

#endif
