/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=120 */
/* M_PERTURB: each byte of an allocated block is the complement, of a freed one the value; calloc is zero all the same.
 * Switched on and off at run time; `perturb VALUE` expects it from the environment. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>

#include "tap.h"

int myalloc_check_heap(void) __attribute__((weak));

enum { SIZES = 8, LINKS = 16 }; /* the first bytes of a free block link it into a list */
static const size_t sizes[SIZES] = {1, 16, 24, 1024, 1025, 30000, 100000, 20 << 20};

static bool all(const char *p, size_t from, size_t to, unsigned char value) {
    for (size_t i = from; i < to; i++)
        if ((unsigned char)p[i] != value)
            return false;
    return true;
}

static void fills(unsigned char value) {
    unsigned char fresh = (unsigned char)~value;
    bool allocated = true, freed = true, zero = true, aligned = true, grown = true, kept = true;
    for (int i = 0; i < SIZES; i++) {
        char *volatile p = malloc(sizes[i]);
        allocated = allocated && all(p, 0, sizes[i], fresh);
        memset(p, 1, sizes[i]);
        p = realloc(p, sizes[i] * 3);
        kept = kept && all(p, 0, sizes[i], 1);
        grown = grown && all(p, sizes[i], sizes[i] * 3, fresh);
        memset(p, 1, sizes[i] * 3);
        free(p);
        if (sizes[i] * 3 < 100000) /* a large block may be gone */
            freed = freed && all(p, LINKS, sizes[i] * 3, value);
        p = calloc(1, sizes[i]);
        zero = zero && all(p, 0, sizes[i], 0);
        free(p);
        p = memalign(256, sizes[i]);
        aligned = aligned && all(p, 0, sizes[i], fresh) && (uintptr_t)p % 256 == 0;
        free(p);
    }
    tap(allocated, "malloc fills with 0x%02x", fresh);
    tap(aligned, "so does memalign");
    tap(grown && kept, "realloc keeps the contents and fills what it adds");
    tap(freed, "free fills with 0x%02x", value);
    tap(zero, "calloc is zero");
}

/* Lists are kept again: what was freed last comes back first, with what was written there. */
static void off_is_off(void) {
    char *volatile p = malloc(100);
    memset(p, 0x33, 100);
    free(p);
    char *volatile again = malloc(100);
    tap(again == p && all(again, LINKS, 100, 0x33), "off, nothing is filled and a freed block comes back at once");
    free(again);
}

static void *other_thread(void *data) {
    char *p = malloc(100);
    *(bool *)data = all(p, 0, 100, (unsigned char)~0x5a);
    free(p);
    return NULL;
}

int main(int argc, char **argv) {
    tap_watchdog(50);
    if (argc > 1) {
        fills((unsigned char)atoi(argv[1]));
        return tap_done();
    }
    off_is_off();
    tap(mallopt(M_PERTURB, 0x15a) == 1, "mallopt takes the least significant byte");
    errno = 0;
    fills(0x5a);
    bool filled = false;
    pthread_t id;
    pthread_create(&id, NULL, other_thread, &filled);
    pthread_join(id, NULL);
    tap(filled, "in a thread that starts later too");
    mallopt(M_PERTURB, 0xff);
    fills(0xff);
    tap(mallopt(M_PERTURB, 0) == 1 && errno == 0, "mallopt switches it off, errno stays");
    off_is_off();
    tap(myalloc_check_heap() == 0, "the heap is whole");
    return tap_done();
}
