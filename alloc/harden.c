/* SPDX-License-Identifier: MIT */
#include "harden.h"

#include "lock.h"

static struct lock harden_lock;

bool harden_start(void) {
    return false;
}

void *harden_alloc(size_t bytes, size_t align, const char *call) {
    (void)bytes;
    (void)align;
    (void)call;
    return NULL;
}

bool harden_owns(const void *p) {
    (void)p;
    return false;
}

void harden_free(void *p, const char *call, size_t bytes, size_t align) {
    (void)p;
    (void)call;
    (void)bytes;
    (void)align;
}

bool harden_size(const void *p, const char *call, size_t *bytes) {
    (void)p;
    (void)call;
    (void)bytes;
    return false;
}

void harden_fork_acquire(void) {
    lock_fork_acquire(&harden_lock);
}

void harden_fork_release(void) {
    lock_fork_release(&harden_lock);
}

void harden_fork_reset(void) {
    lock_fork_reset(&harden_lock);
}
