/* SPDX-License-Identifier: MIT */
/*
 * Processes that are looked at again and again: all that run on the library and may be read, or one. A process is known by its
 * number and its start: a later one of the same number is another. One that begins another program is noticed by where its
 * code and stack lie, and its rates begin anew.
 */
#ifndef TOOLS_WATCH_H
#define TOOLS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "counts.h"
#include "sums.h"

enum { MINUTE = 60, WATCH_EVENTS = 64 };

/* Changes a second, from the look before to the last one. */
struct rates {
    double live, resident, taken, minor_faults, major_faults;
};

struct watched {
    struct counts counts; /* of the last look */
    struct sums sums;
    double at;            /* the last look, in seconds of the monotonic clock */
    bool has_rates;       /* false after the first look */
    bool gone;            /* has ended, or left the library; what is known is of the last look that could read it */
    bool seen;            /* in this round */
    bool missed;          /* the last look found no library: once it may be about to begin a program, twice it has none */
    struct rates rates;
    double class_rates[COUNTS_CLASSES]; /* blocks a second */
    uint64_t minute[MINUTE]; /* resident bytes, one a second, the last one last; only the last `seconds` of them are known */
    size_t seconds;
};

/* Something that happened to a process in a round: it ended, or began another program. */
struct event {
    int number;
    char name[64];
    const char *what;
};

/* Those of a round; of more than there is room for, the first ones. */
struct events {
    struct event list[WATCH_EVENTS];
    size_t count;
};

struct stranger;

struct watch {
    int kept;              /* a process that stays in the list, as gone, when it ends; 0: none */
    bool one;              /* only `kept` is looked at */
    struct watched **all;
    size_t count, room;
    unsigned forbidden;    /* processes that may not be read, in this round */
    unsigned others;       /* those with a library that cannot be read */
    struct events events;  /* of this round */
    struct stranger *strangers; /* processes that do not run on the library */
    size_t strangers_count, strangers_room, strangers_at;
    unsigned rounds;
};

/* One round. False: out of memory, or /proc cannot be read; errno says which. */
bool watch_look(struct watch *watch);

/* The one of this number, or NULL. */
struct watched *watch_find(const struct watch *watch, int number);

void watch_free(struct watch *watch);

#endif
