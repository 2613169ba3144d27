/* SPDX-License-Identifier: MIT */
/*
 * A quarantine: where what was freed waits before it may be used again. It has up to two stages. What comes in takes one of the
 * `random` places, chosen at random; what was there goes to the end of a queue of `queue` places, and what the queue has no
 * place for is out. So nothing is used again before that many others were freed, and nobody knows when. With no random places
 * it is a plain queue: first in, first out. Elements are numbers, 0 for none. The lock that
 * protects the generator protects this too.
 */
#ifndef MYALLOC_QUARANTINE_H
#define MYALLOC_QUARANTINE_H

#include "kit/random.h"

struct quarantine {
    uint64_t *places;       /* the random ones, then the queue's, a ring */
    uint32_t random, queue; /* how many */
    uint32_t at, used;      /* the ring: the place that is filled next, and how many before it may hold something */
    uint32_t held;          /* elements in both stages */
};

/* A number less than twice the queue's places, as a place in the ring. */
static inline uint32_t quarantine_place(const struct quarantine *quarantine, uint32_t number) {
    return number >= quarantine->queue ? number - quarantine->queue : number;
}

/* The place in `places` that the next element takes in a quarantine that is a queue only. */
static inline uint32_t quarantine_next(const struct quarantine *quarantine) {
    return quarantine->at;
}

static inline uint64_t quarantine_enqueue(struct quarantine *quarantine, uint64_t fresh) {
    if (quarantine->queue == 0)
        return fresh;
    uint64_t *place = &quarantine->places[quarantine->random + quarantine->at], out = *place;
    *place = fresh;
    quarantine->at = quarantine_place(quarantine, quarantine->at + 1);
    quarantine->used += quarantine->used < quarantine->queue;
    return out;
}

/* The one that leaves the queue after `ahead` others; 0 if there is none. For reading it early: it may go another way. */
static inline uint64_t quarantine_soon(const struct quarantine *quarantine, uint32_t ahead) {
    if (ahead >= quarantine->used)
        return 0;
    uint32_t oldest = quarantine_place(quarantine, quarantine->at + quarantine->queue - quarantine->used);
    return quarantine->places[quarantine->random + quarantine_place(quarantine, oldest + ahead)];
}

/* Puts one in; returns the one that has waited long enough, 0 if there is none yet. Without random places `random` may be
 * NULL. */
static inline uint64_t quarantine_push(struct quarantine *quarantine, struct random *random, uint64_t fresh) {
    uint64_t moved = fresh;
    if (quarantine->random > 0) {
        uint64_t *place = &quarantine->places[random_below(random, quarantine->random)];
        moved = *place;
        *place = fresh;
    }
    uint64_t out = moved != 0 ? quarantine_enqueue(quarantine, moved) : 0;
    quarantine->held += out == 0;
    return out;
}

/* Takes out the one that has been in the queue for longest, or a random one if the queue is empty; 0 if none is held. */
static inline uint64_t quarantine_pull(struct quarantine *quarantine) {
    uint64_t *place = NULL, out = 0;
    for (; out == 0 && quarantine->used > 0; quarantine->used--) {
        uint32_t oldest = quarantine_place(quarantine, quarantine->at + quarantine->queue - quarantine->used);
        place = &quarantine->places[quarantine->random + oldest];
        out = *place;
    }
    for (uint32_t i = 0; out == 0 && quarantine->held > 0 && i < quarantine->random; i++) {
        place = &quarantine->places[i];
        out = *place;
    }
    if (out == 0)
        return 0;
    *place = 0;
    quarantine->held--;
    return out;
}

/* Takes out what is in a place. */
static inline void quarantine_remove(struct quarantine *quarantine, uint32_t place) {
    quarantine->places[place] = 0;
    quarantine->held--;
}

#endif
