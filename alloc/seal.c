/* SPDX-License-Identifier: MIT */
#include "seal.h"

#include "os.h"

static bool closed SEALED = false;

bool seal_open(void *variable, size_t bytes) {
    uintptr_t start = align_down((uintptr_t)variable, OS_PAGE), end = align_up((uintptr_t)variable + bytes, OS_PAGE);
    return !closed && os_protect((void *)start, end - start, true);
}

void seal_close(void) {
    void *start;
    size_t bytes;
    if (!seal_open(&closed, sizeof closed))
        return;
    closed = true;
    if (os_find_relro(&closed, &start, &bytes))
        os_seal(start, bytes);
}
