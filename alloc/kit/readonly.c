/* SPDX-License-Identifier: MIT */
#include "kit/readonly.h"

#include "os/os.h"

READONLY_PAGES(bool, closed) = {false}; /* lies among what is closed, so that nobody opens it by a stray write */
extern HIDDEN char __start_myalloc_readonly[], __stop_myalloc_readonly[]; /* from the linker */

static uintptr_t page_of(const void *variable) {
    return align_down((uintptr_t)variable, OS_PAGE_MOST);
}

static size_t pages_bytes(size_t bytes) {
    return align_up(bytes, OS_PAGE_MOST);
}

bool readonly_open(void *variable, size_t bytes) {
    return !closed_pages.value || os_writable((void *)page_of(variable), pages_bytes(bytes));
}

void readonly_shut(void *variable, size_t bytes) {
    if (closed_pages.value)
        os_readonly((void *)page_of(variable), pages_bytes(bytes));
}

void readonly_close(void) {
    closed_pages.value = true;
    os_readonly(__start_myalloc_readonly, (size_t)(__stop_myalloc_readonly - __start_myalloc_readonly));
}
