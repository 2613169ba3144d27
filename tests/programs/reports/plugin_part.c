/* SPDX-License-Identifier: MIT */
/* Frees what it was given by new: a mix of families. Built as a shared object, without optimisation. */
#include <stdlib.h>
#include <string.h>

extern void *_Znwm(size_t); /* operator new(unsigned long) */

static void *copy_of(const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(_Znwm(bytes), text, bytes); /* ALLOCATED */
}

void plugin_work(void) {
    void *copy = copy_of("a text");
    free(copy); /* FAULT */
}
