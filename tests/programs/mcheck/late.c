/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=120 */
/* mcheck() in the middle of a program's life: blocks from before are told from others and stay usable, blocks from then
 * on are checked; what mprobe says of each; a realloc, a fork, other threads. */
#include <errno.h>
#include <malloc.h>
#include <mcheck.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

int myalloc_check_heap(void) __attribute__((weak));

enum { SIZES = 6, THREADS = 4 };
static const size_t sizes[SIZES] = {1, 24, 1000, 5000, 100000, 50 << 20};

static _Atomic int told, last;

static void on_fault(enum mcheck_status status) {
    told++;
    last = status;
}

/* The number of faults told since the last question. */
static int faults(void) {
    return atomic_exchange(&told, 0);
}

static void fill(char *p, size_t bytes, int seed) {
    for (size_t i = 0; i < bytes; i += i < 4096 || i + 4096 > bytes ? 1 : 4096)
        p[i] = (char)((size_t)seed + i * 7);
}

static bool holds(const char *p, size_t bytes, int seed) {
    for (size_t i = 0; i < bytes; i += i < 4096 || i + 4096 > bytes ? 1 : 4096)
        if (p[i] != (char)((size_t)seed + i * 7))
            return false;
    return true;
}

/* ---- other threads ----------------------------------------------------------------------------------------------- */

static _Atomic bool stop;
static _Atomic int rest, rests[THREADS]; /* while rest is not 0: their frees would push ours out of the quarantine */
static _Atomic size_t broken, rounds;

static void *churn(void *data) {
    uint64_t random = (uintptr_t)data * 77 + 3;
    char *p[64] = {0};
    size_t bytes[64] = {0};
    while (!stop) {
        for (int asked; (asked = rest) != 0; usleep(100))
            rests[(uintptr_t)data - 1] = asked;
        size_t i = tap_random(&random) % 64;
        if (p[i] != NULL)
            broken += !holds(p[i], bytes[i], (int)i);
        if (tap_random(&random) % 4 == 0 && p[i] != NULL) {
            size_t more = tap_random(&random) % 4000 + 1;
            p[i] = realloc(p[i], more);
            broken += p[i] == NULL || !holds(p[i], bytes[i] < more ? bytes[i] : more, (int)i);
            bytes[i] = more;
        } else {
            free(p[i]);
            bytes[i] = tap_random(&random) % 3000;
            p[i] = malloc(bytes[i]);
        }
        fill(p[i], bytes[i], (int)i);
        rounds++;
    }
    for (size_t i = 0; i < 64; i++)
        free(p[i]);
    return NULL;
}

static void rest_all(void) {
    static int times;
    rest = ++times;
    for (int i = 0; i < THREADS; i++)
        while (rests[i] != times)
            usleep(100);
}

static void wait_for_rounds(size_t more) {
    rest = 0;
    for (size_t until = rounds + more; rounds < until;)
        usleep(1000);
}

/* ---- blocks from before ------------------------------------------------------------------------------------------ */

static char *volatile before[SIZES], *volatile kept[SIZES];

static void early_blocks_stay_usable(void) {
    bool disabled = true, size = true, grown = true;
    for (int i = 0; i < SIZES; i++) {
        disabled = disabled && mprobe(before[i]) == MCHECK_DISABLED;
        size = size && malloc_usable_size(before[i]) >= sizes[i];
        kept[i] = realloc(kept[i], sizes[i] + 100);
        grown = grown && kept[i] != NULL && holds(kept[i], sizes[i], i) && mprobe(kept[i]) == MCHECK_OK;
        free(kept[i]);
    }
    tap(disabled, "mprobe of a block from before is MCHECK_DISABLED");
    tap(size && grown, "such blocks keep their size and contents, and are checked once they are resized");
    for (int i = 0; i < SIZES; i++)
        free(before[i]);
    tap(faults() == 0, "they can be freed");
    free(before[1]);
    tap(faults() == 1 && last == MCHECK_FREE, "and a second free is told");
}

static void late_blocks_are_checked(void) {
    bool exact = true, fine = true, freed = true;
    for (int i = 0; i < SIZES; i++) {
        char *volatile p = malloc(sizes[i]);
        exact = exact && malloc_usable_size(p) == sizes[i] && (uintptr_t)p % 16 == 0;
        fill(p, sizes[i], i);
        fine = fine && mprobe(p) == MCHECK_OK;
        free(p);
        freed = freed && mprobe(p) == MCHECK_FREE;
    }
    tap(exact, "malloc_usable_size is what was asked for, blocks are aligned");
    tap(fine && freed && faults() == SIZES, "mprobe: MCHECK_OK while they live, MCHECK_FREE after");
    for (size_t align = 16; align <= 1 << 20; align *= 4) {
        char *p = memalign(align, 100);
        exact = exact && (uintptr_t)p % align == 0 && malloc_usable_size(p) == 100;
        free(p);
    }
    tap(exact && faults() == 0, "aligned blocks are aligned and exact");
    char *volatile p = malloc(10);
    p[-1] ^= 1;
    tap(mprobe(p) == MCHECK_HEAD && mprobe(p) == MCHECK_HEAD && faults() == 2, "mprobe: MCHECK_HEAD, each time");
    p[-1] ^= 1;
    p[10] ^= 1;
    tap(mprobe(p) == MCHECK_TAIL && faults() == 1, "mprobe: MCHECK_TAIL");
    mcheck_check_all();
    tap(faults() == 1 && last == MCHECK_TAIL, "mcheck_check_all finds it");
    p[10] ^= 1;
    mcheck_check_all();
    tap(mprobe(p) == MCHECK_OK && faults() == 0, "and nothing when it has been put right");
    free(p);
}

static void calls_that_must_have_no_effect(void) {
    char *volatile p = malloc(100);
    errno = 0;
    free(p + 16);
    free(p + 8);
    tap(faults() == 2 && last == MCHECK_HEAD && mprobe(p) == MCHECK_OK, "an invalid free leaves the block alone");
    tap(realloc(p + 16, 200) == NULL && errno == ENOMEM && faults() == 1, "an invalid realloc is NULL");
    free(p);
    tap(realloc(p, 200) == NULL && faults() == 1 && last == MCHECK_FREE, "so is the realloc of a freed block");
    free(p);
    tap(faults() == 1, "a second free is told");
    p = calloc(1000, 100);
    bool zero = true;
    for (int i = 0; i < 100000; i++)
        zero = zero && p[i] == 0;
    tap(zero && faults() == 0, "calloc is zero");
    free(p);
    errno = 0;
    tap(malloc(PTRDIFF_MAX - 100) == NULL && errno == ENOMEM && faults() == 0, "too much is ENOMEM");
}

static void large_blocks_move_their_pages(void) {
    bool kept_all = true;
    for (size_t bytes = 150000; bytes < (size_t)100 << 20; bytes *= 3) {
        char *p = malloc(bytes);
        fill(p, bytes, 1);
        p = realloc(p, bytes * 2);
        kept_all = kept_all && holds(p, bytes, 1) && malloc_usable_size(p) == bytes * 2;
        p = realloc(p, bytes);
        kept_all = kept_all && holds(p, bytes, 1) && mprobe(p) == MCHECK_OK;
        p = realloc(p, 10);
        kept_all = kept_all && holds(p, 10, 1) && mprobe(p) == MCHECK_OK;
        free(p);
    }
    tap(kept_all && faults() == 0, "large blocks grow, shrink and keep their contents");
}

static void a_child_goes_on(void) {
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(20);
        told = 0;
        char *volatile p = malloc(100);
        fill(p, 100, 1);
        p = realloc(p, 10000);
        bool right = holds(p, 100, 1) && mprobe(p) == MCHECK_OK && told == 0;
        free(p);
        free(p);
        right = right && told == 1 && last == MCHECK_FREE;
        _exit(right ? 0 : 1);
    }
    tap(tap_child_passed(child), "a child checks on");
}

int main(void) {
    tap_watchdog(50);
    if (myalloc_check_heap == NULL)
        return 3;
    pthread_t ids[THREADS];
    for (int i = 0; i < SIZES; i++) {
        before[i] = malloc(sizes[i]);
        kept[i] = malloc(sizes[i]);
        fill(kept[i], sizes[i], i);
    }
    tap(mprobe(before[0]) == MCHECK_DISABLED, "before mcheck(), mprobe is MCHECK_DISABLED");
    mcheck_check_all();
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&ids[i], NULL, churn, (void *)(i + 1));
    wait_for_rounds(1000);
    tap(mcheck(on_fault) == 0 && mcheck(on_fault) == 0, "mcheck() succeeds after 1000 allocations, and again");
    rest_all();
    early_blocks_stay_usable();
    wait_for_rounds(1000);
    rest_all();
    late_blocks_are_checked();
    calls_that_must_have_no_effect();
    large_blocks_move_their_pages();
    wait_for_rounds(1000);
    a_child_goes_on();
    tap(myalloc_check_heap() == 0, "the heap is whole while %d threads allocate", THREADS);
    wait_for_rounds(1000);
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    mcheck_check_all();
    tap(broken == 0 && faults() == 0, "their blocks stayed whole, nothing was told of them");
    tap(myalloc_check_heap() == 0, "the heap is whole");
    return tap_done();
}
