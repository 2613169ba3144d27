/* SPDX-License-Identifier: MIT */
/* run: helper */
/* A library of which there are two that differ in the size of this frame alone, so that both have the same addresses. */
#ifndef ROOM
#define ROOM 64
#endif

#include <stdlib.h>

static __attribute__((constructor)) void construct(void) {
    *(void *volatile *)&(void *){NULL} = malloc(1234);
}

void fill(volatile char *room, int bytes);

int through(int (*function)(void));
int through(int (*function)(void)) {
    volatile char room[ROOM];
    fill(room, ROOM);
    return function() + room[ROOM / 2];
}

void fill(volatile char *room, int bytes) {
    while (bytes-- > 0)
        room[bytes] = 0;
}
