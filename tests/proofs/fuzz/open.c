/* SPDX-License-Identifier: MIT */
/* The open sandbox, which is none: see sandbox.h. */
#include "sandbox.h"

#include <unistd.h>

const bool sandbox_closed = false;

/* The environment was set before the process began. */
void sandbox_begin(char **environment, size_t address_space) {
    (void)environment, (void)address_space;
}

void sandbox_start(void) {}
void sandbox_exit(bool late) {
    (void)late;
}
void sandbox_end(void) {}

void sandbox_refuse(unsigned after, unsigned count) {
    (void)after, (void)count;
}
unsigned sandbox_refused(void) {
    return 0;
}

void sandbox_clock_forward(unsigned milliseconds) {
    (void)milliseconds;
}
void sandbox_foreign_sbrk(intptr_t bytes) {
    if (bytes > 0 && sbrk(bytes) == (void *)-1)
        return;
}
void sandbox_threaded(bool several) {
    (void)several;
}

unsigned sandbox_lines(const char **text) {
    *text = "";
    return 0;
}
