/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Hardened blocks as a program sees them, one process: harden, under the options that paranoid.test gives. */
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <mcheck.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>

#include "programs/options/json.h"
#include "programs/protect/rooms.h"
#include "tap.h"

int myalloc_check_heap(void) __attribute__((weak));

#define PAGE 4096
#define FAR_AWAY ((size_t)1 << 30) /* rooms of two classes are further apart than this */

static sigjmp_buf back;

static void faulted(int number) {
    (void)number;
    siglongjmp(back, 1);
}

/* Whether a byte can be read; and written, without changing it. */
static bool touches(const void *p, bool write) {
    struct sigaction action = {.sa_handler = faulted, .sa_flags = SA_NODEFER}, old;
    volatile char *at = (volatile char *)(uintptr_t)p;
    volatile bool done = false;
    sigaction(SIGSEGV, &action, &old);
    if (sigsetjmp(back, 1) == 0) {
        char is = *at;
        if (write)
            *at = is;
        done = true;
    }
    sigaction(SIGSEGV, &old, NULL);
    return done;
}

static bool reads(const void *p) {
    return touches(p, false);
}

static size_t distance(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y ? y - x : x - y;
}

static bool is_zero(const char *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

static void sizes(void) {
    bool exact = true, zeroed = true, aligned = true;
    for (size_t bytes = 0; bytes < 40000; bytes += bytes < 1200 ? 1 : 97) {
        char *p = malloc(bytes);
        exact &= malloc_usable_size(p) == bytes;
        zeroed &= is_zero(p, bytes);
        aligned &= (uintptr_t)p % 16 == 0;
        memset(p, 0xa5, bytes);
        free(p);
    }
    tap(exact, "malloc_usable_size is exactly what was asked for");
    tap(zeroed, "no block shows what was there before");
    tap(aligned, "blocks are aligned to 16");
    aligned = exact = true;
    for (size_t align = 16; align <= 4 << 20; align *= 2)
        for (size_t bytes = 0; bytes <= 100000; bytes = bytes * 7 + 1) {
            char *p = aligned_alloc(align, bytes);
            aligned &= (uintptr_t)p % align == 0;
            exact &= malloc_usable_size(p) == bytes;
            memset(p, 1, bytes);
            free(p);
        }
    tap(aligned && exact, "aligned blocks up to 4 MiB are aligned, and of exact size");
}

static void no_bytes(void) {
    enum { COUNT = 500 };
    static char *blocks[COUNT];
    bool differ = true, shut = true;
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = i % 10 == 0 ? aligned_alloc(256, 0) : malloc(0);
        shut &= blocks[i] != NULL && !reads(blocks[i]) && !touches(blocks[i], true);
        for (int k = 0; k < i; k++)
            differ &= blocks[k] != blocks[i];
    }
    tap(differ, "blocks of no bytes have addresses of their own");
    tap(shut, "... at which nothing can be read or written");
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
}

static void reallocs(void) {
    bool kept = true, moved = true, exact = true;
    char *p = malloc(10);
    memset(p, 'x', 10);
    for (size_t bytes = 11; bytes < 2000000; bytes = bytes * 5 / 4 + 1) {
        char *was = p;
        p = realloc(p, bytes);
        moved &= p != was;
        kept &= p[0] == 'x' && p[9] == 'x' && is_zero(p + 10, bytes - 10);
        exact &= malloc_usable_size(p) == bytes;
    }
    p = realloc(p, 10);
    kept &= memcmp(p, "xxxxxxxxxx", 10) == 0;
    tap(kept, "realloc keeps the contents and adds zeros");
    tap(moved, "realloc always moves");
    tap(exact && malloc_usable_size(p) == 10, "... to a block of exactly that size");
    free(p);
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

static void rooms(void) {
    enum { CLASSES = 40 };
    char *blocks[CLASSES];
    bool apart = true;
    for (int i = 0; i < CLASSES; i++)
        blocks[i] = malloc(24 + 16 * (size_t)i);
    for (int i = 0; i < CLASSES; i++)
        for (int k = 0; k < i; k++)
            apart &= distance(blocks[i], blocks[k]) > FAR_AWAY;
    tap(apart, "classes have address ranges of their own, far apart");
    for (int i = 0; i < CLASSES; i++)
        free(blocks[i]);
}

/* Walks up and down from blocks of each size: before as much as a cell and its neighbour hold, memory must end. */
static void guards(void) {
    bool above = true, below = true;
    for (size_t bytes = 8; bytes < 32000; bytes = bytes * 3 / 2) {
        char *p = malloc(bytes), *up = p, *down = p;
        size_t cell = bytes < 1800 ? 17 * 1024 + 256 * 16 : 9 * (bytes * 9 / 8 + 512);
        while (up < p + cell && reads(up))
            up += PAGE;
        while (down > p - cell && reads(down))
            down -= PAGE;
        above &= up < p + cell;
        below &= down > p - cell;
        free(p);
    }
    tap(above, "behind each slab lies memory that cannot be touched");
    tap(below, "before each slab too");
}

static void large_guards(void) {
    bool before = true, behind = true, gone = true, lengths_differ = false;
    size_t first = 0;
    for (int i = 0; i < 50; i++) {
        size_t bytes = 40000 + (size_t)i * 777;
        char *p = malloc(bytes);
        size_t slack = -(uintptr_t)(p + bytes) % PAGE;
        before &= !reads((char *)((uintptr_t)p & -(uintptr_t)PAGE) - 1);
        behind &= slack < 16 && !reads(p + bytes + slack);
        char *end = p + bytes + slack;
        memset(p, 1, bytes);
        free(p);
        gone &= !reads(p) && !reads(end - PAGE);
        char *q = malloc(bytes);
        size_t step = distance(p, q);
        lengths_differ |= i > 0 && step != first;
        first = i == 0 ? step : first;
        free(q);
    }
    tap(before, "before a large block lies a page that cannot be touched");
    tap(behind, "behind it too, less than the alignment away");
    tap(gone, "a freed large block cannot be touched");
    tap(lengths_differ, "the distances between large blocks differ");
}

/* In an order that shows nothing: neither up, nor down, nor the same steps. */
static void random_slots(void) {
    enum { COUNT = 64 };
    char *blocks[COUNT];
    int up = 0, same_step = 0;
    for (int i = 0; i < COUNT; i++)
        blocks[i] = malloc(1000);
    for (int i = 1; i < COUNT; i++)
        up += blocks[i] > blocks[i - 1];
    for (int i = 2; i < COUNT; i++)
        same_step += blocks[i] - blocks[i - 1] == blocks[i - 1] - blocks[i - 2];
    /* With 63 fair coins, fewer than 8 or more than 58 heads come once in 10 billion runs. */
    tap(up >= 8 && up <= 58, "slots are taken neither upwards nor downwards (%d of 63 steps up)", up);
    tap(same_step < 40, "... nor at the same distance (%d of 62)", same_step);
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
}

static void quarantine(void) {
    bool waited = true;
    static const size_t sizes[] = {16, 100, 1000, 4000, 30000, 100000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        void *p = malloc(sizes[s]);
        free(p);
        for (int i = 0; i < 4; i++) {
            void *q = malloc(sizes[s]);
            waited &= q != p;
            free(q);
        }
    }
    tap(waited, "a freed block is not given out again at once, of any size");
}

static void zero_on_free(void) {
    char *p = malloc(500);
    memset(p, 'A', 500);
    free(p);
    tap(is_zero(p, 500), "a freed block holds nothing of what was there");
}

/* ---- the process ------------------------------------------------------------------------------------------------- */

static void nothing_executable(void) {
    char line[512];
    unsigned both = 0, ours = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL) {
        char rights[8], path[400] = "";
        if (sscanf(line, "%*s %7s %*s %*s %*s %399s", rights, path) < 1)
            continue;
        both += rights[1] == 'w' && rights[2] == 'x';
        ours += path[0] == '\0' && rights[2] == 'x';
    }
    fclose(maps);
    tap(both == 0, "no memory is writable and executable");
    tap(ours == 0, "no memory without a file is executable");
}

struct range {
    char *start;
    size_t bytes;
};

static int find_relro(struct dl_phdr_info *module, size_t size, void *data) {
    struct range *range = data;
    (void)size;
    for (int i = 0; strstr(module->dlpi_name, "libmyalloc") != NULL && i < module->dlpi_phnum; i++)
        if (module->dlpi_phdr[i].p_type == PT_GNU_RELRO)
            *range = (struct range){(char *)module->dlpi_addr + module->dlpi_phdr[i].p_vaddr, module->dlpi_phdr[i].p_memsz};
    return range->bytes != 0;
}

/* The options lie on the page behind what the loader has closed (alloc/kit/pages.ld). */
static void sealed(void) {
    struct range range = {NULL, 0};
    dl_iterate_phdr(find_relro, &range);
    tap(mallopt(M_PERTURB, 0) == 1 && mallopt(M_CHECK_ACTION, 3) == 1 && mallopt(M_ARENA_MAX, 1) == 1, "mallopt sets them");
    unsigned writable = 0;
    size_t bytes = (range.bytes + 4095) / 4096 * 4096 + 700;
    for (size_t at = 0; at < bytes; at += 8)
        writable += touches((char *)((uintptr_t)range.start & ~(uintptr_t)4095) + at, true);
    tap(range.bytes >= 700 && writable == 0, "nobody else can (%zu bytes, %u words can be written)", bytes, writable);
}

static int told[8], told_count;

static void tell(enum mcheck_status status) {
    told[told_count++ & 7] = status;
}

static void probes(void) {
    char *p = malloc(100), *q = malloc(100000);
    tap(mcheck(tell) == 0, "mcheck() may be called");
    tap(mprobe(p) == MCHECK_OK && mprobe(q) == MCHECK_OK && told_count == 0, "mprobe: whole blocks");
    p[100] = 'A';
    tap(mprobe(p) == MCHECK_TAIL && told_count == 1 && told[0] == MCHECK_TAIL, "mprobe: written behind the end");
    p[100] = 0;
    tap(mprobe(p) == MCHECK_TAIL, "... a NUL too");
    free(p);
    tap(told_count == 3 && told[2] == MCHECK_TAIL, "the function is told of it at free as well");
    tap(mprobe(p) == MCHECK_FREE && told_count == 4, "mprobe: a freed block");
    q[-1] = 0;
    tap(mprobe(q) == MCHECK_HEAD && told_count == 5, "mprobe: a NUL before a large block");
    free(q);
    tap(mprobe((char *)q + 16) == MCHECK_HEAD, "mprobe: no block");
    mcheck_check_all();
    mcheck(NULL);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void statistics(void) {
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    json_read();
    size_t live = json_number("live"), number = json_number("live_blocks"), bytes = 0;
    bool adds_up = json_adds_up();
    for (size_t i = 0; i < COUNT; i++) {
        size_t asked = i % 97 == 0 ? 50000 + i : i * 31 % 5000;
        blocks[i] = malloc(asked);
        bytes += asked;
    }
    json_read();
    adds_up &= json_adds_up();
    tap(json_number("live") == live + bytes && json_number("live_blocks") == number + COUNT, "live is exact");
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
    tap(myalloc_check_heap() == 0, "the walk finds nothing broken");
    json_read();
    tap(json_number("live") == live && json_number("live_blocks") == number, "... after frees too");
    adds_up &= json_adds_up();
    size_t taken = json_number("taken");
    int trimmed = malloc_trim(0);
    json_read();
    adds_up &= json_adds_up();
    tap(adds_up, "the statistics add up");
    tap(trimmed == 1 && json_number("taken") < taken, "malloc_trim gives something back");
}

static void forked(void) {
    enum { COUNT = 64 };
    void *mine[COUNT], *theirs[COUNT];
    int pipes[2], same = 0;
    if (pipe(pipes) != 0)
        abort();
    fflush(stdout);
    pid_t child = fork();
    for (int i = 0; i < COUNT; i++)
        mine[i] = malloc(64);
    if (child == 0) {
        bool done = write(pipes[1], mine, sizeof mine) == sizeof mine && myalloc_check_heap() == 0;
        _exit(done ? 0 : 1);
    }
    bool got = read(pipes[0], theirs, sizeof theirs) == sizeof theirs;
    tap(got && tap_child_passed(child), "the child of a fork allocates, and its heap is whole");
    for (int i = 0; i < COUNT; i++)
        same += mine[i] == theirs[i];
    tap(same < COUNT / 2, "its places are not its parent's (%d of %d the same)", same, COUNT);
    for (int i = 0; i < COUNT; i++)
        free(mine[i]);
}

static _Atomic bool stop;

static void *busy(void *seed) {
    uint64_t random = (uint64_t)(uintptr_t)seed;
    void *blocks[50] = {NULL};
    while (!stop) {
        uint64_t draw = tap_random(&random);
        free(blocks[draw % 50]);
        blocks[draw % 50] = malloc(draw >> 8 & ((draw & 63) == 0 ? 0xffff : 0x3ff));
    }
    for (int i = 0; i < 50; i++)
        free(blocks[i]);
    return NULL;
}

static void forked_with_threads(void) {
    enum { THREADS = 3, FORKS = 8 };
    pthread_t threads[THREADS];
    int passed = 0;
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, busy, (void *)(i + 1));
    for (int i = 0; i < FORKS; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            tap_watchdog(20);
            bool whole = myalloc_check_heap() == 0;
            for (size_t bytes = 1; bytes < 60000; bytes = bytes * 3 / 2 + 1)
                free(malloc(bytes));
            _exit(whole && myalloc_check_heap() == 0 ? 0 : 1);
        }
        passed += tap_child_passed(child);
    }
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    tap(passed == FORKS, "children of a program whose threads allocate have a whole heap (%d of %d)", passed, FORKS);
    tap(myalloc_check_heap() == 0, "... and so has the parent");
}

static int mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    int lines = 0;
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

/* A cell of eight is a mapping, until it is shut. */
static void mappings_joined(void) {
    enum { COUNT = 8000, HELD_MOST = 200 };
    static char *blocks[COUNT];
    int before = mappings();
    for (int i = 0; i < COUNT; i++)
        blocks[i] = malloc(2000);
    int open = mappings();
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    malloc_trim(0);
    int shut = mappings();
    bool joined = open > before + COUNT / 9 && shut < before + HELD_MOST;
    tap(joined, "cells that are shut need no mappings (%d, %d, %d)", before, open, shut);
}

static void absurd(void) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2, (size_t)1 << 62, (size_t)1 << 47, SIZE_MAX - 4096};
    bool refused = true;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        refused &= malloc(sizes[i]) == NULL && errno == ENOMEM;
        refused &= calloc(sizes[i], 2) == NULL && aligned_alloc(4096, sizes[i]) == NULL;
        void *p = malloc(10);
        refused &= realloc(p, sizes[i]) == NULL && malloc_usable_size(p) == 10;
        free(p);
    }
    refused &= aligned_alloc((size_t)1 << 62, 16) == NULL;
    tap(refused, "absurd sizes and alignments are refused with ENOMEM");
}

int main(int argc, char **argv) {
    tap_watchdog(60);
    rooms_only();
    if (argc > 1 && strcmp(argv[1], "places") == 0) {
        for (int i = 0; i < 64; i++)
            printf("%p %p\n", malloc(48), malloc(100000));
        return 0;
    }
    sizes();
    no_bytes();
    reallocs();
    rooms();
    guards();
    large_guards();
    random_slots();
    quarantine();
    zero_on_free();
    nothing_executable();
    sealed();
    statistics();
    forked();
    forked_with_threads();
    absurd();
    probes();
    mappings_joined();
    return tap_done();
}
