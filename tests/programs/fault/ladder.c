/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Five threads take blocks until they are refused, at once, give them back and do so again: any refusal must be ENOMEM, and in
 * the end a small block is to be had again. A small program, for small limits. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

static _Atomic int wrong;
static _Atomic size_t served;

/* Blocks of many sizes until one is refused, in a chain through their first words; then all are given back. */
static void *until_refused(void *data) {
    for (int round = 0; round < 3; round++) {
        void **chain = NULL, **block;
        size_t count = 0, bytes;
        for (;; count++) {
            bytes = (count * 7919 + (size_t)(uintptr_t)data) % (count % 50 ? 2000 : 200000) + sizeof(void *);
            errno = 0;
            if ((block = malloc(bytes)) == NULL)
                break;
            memset(block, 1, bytes);
            *block = chain;
            chain = (void **)block;
        }
        wrong += errno != ENOMEM;
        served += count;
        while (chain != NULL) {
            void **next = *chain;
            free(chain);
            chain = next;
        }
    }
    return data;
}

int main(void) {
    tap_alarm(100);
    pthread_t ids[4];
    size_t count = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    while (count < 4 && pthread_create(&ids[count], &small, until_refused, (void *)(count + 1)) == 0)
        count++;
    until_refused((void *)9);
    for (size_t i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    void *p = malloc(100); /* all is free again; how large a piece can be had depends on what lies between */
    int refused = p == NULL && served > 0; /* in the least space there is none from the start */
    free(p);
    printf("%d refusals without ENOMEM%s\n", wrong, refused ? ", refused although all is free" : "");
    return wrong != 0 || refused;
}
