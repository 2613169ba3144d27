/* SPDX-License-Identifier: MIT */
/* The checks, and the switch between watched and fast, under ThreadSanitizer: threads allocate, resize and free, also
 * what another allocated, while the fills go on and off and all blocks are looked at. */
#include <pthread.h>

#include "protect/protections.h"
#include "api/front.h"
#include "tap.h"
#include "process/verify.h"
#include "heap/mode_switch.h"
#include "process/mode_start.h"

enum { THREADS = 4, ROUNDS = 4000, BOXES = 64 };

static _Atomic(unsigned char *) boxes[BOXES];
static _Atomic size_t broken;

static void *trade(void *data) {
    uint64_t random = (uintptr_t)data * 31 + 5;
    for (int i = 0; i < ROUNDS; i++) {
        size_t bytes = tap_random(&random) % 3000 + 2;
        unsigned char *p = front_alloc(bytes, "malloc");
        p[0] = (unsigned char)bytes;
        p = front_realloc(p, bytes + 500, "realloc");
        broken += p[0] != (unsigned char)bytes;
        p = atomic_exchange(&boxes[tap_random(&random) % BOXES], p);
        if (p != NULL) {
            p[1] = 1;
            front_free(p, "free");
        }
    }
    return NULL;
}

static void run(const char *name, void (*meanwhile)(void)) {
    pthread_t ids[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, trade, (void *)(i + 1));
    for (int i = 0; i < 50; i++)
        meanwhile();
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    tap(broken == 0 && verify_heap() == 0, "%d threads, %s", THREADS, name);
}

static void nothing(void) {
    usleep(100);
}

static void on_and_off(void) {
    mode_switch_on(MODE_PERTURB);
    usleep(100);
    mode_switch_off(MODE_PERTURB);
    usleep(100);
}

static void look(void) {
    protections_check("test");
    usleep(100);
}

int main(void) {
    tap_watchdog(110);
    mode_start();
    mode_switch_on(MODE_PERTURB);
    run("all calls watched", nothing);
    mode_switch_on(MODE_CHECK);
    run("checked, and all blocks looked at meanwhile", look);
    run("checked, fills on and off", on_and_off);
    return tap_done();
}
