/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include "lock.h"

static struct lock guard_lock;

bool guard_start(void) {
    return false;
}

void *guard_alloc(size_t bytes, size_t align, const char *call) {
    (void)bytes;
    (void)align;
    (void)call;
    return NULL;
}

bool guard_owns(const void *p) {
    (void)p;
    return false;
}

void guard_free(void *p, const char *call, size_t bytes, size_t align) {
    (void)p;
    (void)call;
    (void)bytes;
    (void)align;
}

bool guard_size(const void *p, const char *call, size_t *bytes) {
    (void)p;
    (void)call;
    (void)bytes;
    return false;
}

void guard_fork_acquire(void) {
    lock_fork_acquire(&guard_lock);
}

void guard_fork_release(void) {
    lock_fork_release(&guard_lock);
}

void guard_fork_reset(void) {
    lock_fork_reset(&guard_lock);
}
