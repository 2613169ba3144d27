/* SPDX-License-Identifier: MIT */
#include "kit/readonly.h"

#include "os/os.h"

static bool closed READONLY = false; /* protected by itself: lies among what is closed */

bool readonly_open(void *variable, size_t bytes) {
    uintptr_t start = align_down((uintptr_t)variable, OS_PAGE), end = align_up((uintptr_t)variable + bytes, OS_PAGE);
    return !closed && os_writable((void *)start, end - start);
}

void readonly_close(void) {
    void *start;
    size_t bytes;
    if (!readonly_open(&closed, sizeof closed))
        return;
    closed = true;
    if (os_find_relro(&closed, &start, &bytes))
        os_readonly(start, bytes);
}
