/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=360 */
/* Where the resident memory is: the parts add up to what the kernel counts, each pattern of memory is found in its part, and
 * malloc_trim gives back what is said before. */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "programs/options/json.h"
#include "tap.h"

#define MIB ((size_t)1 << 20)
#define FOREIGN (3 * MIB)
#define PAGE ((size_t)sysconf(_SC_PAGESIZE))
#define NEAR (64 * PAGE) /* code that runs for the first time, stacks: of the process, not ours */

static const char *const parts[] = {"live", "rounding", "lists", "transit", "beside", "holes", "free", "ahead", "huge_excess",
                                    "kept", "around", "metadata"};
enum { PARTS = sizeof parts / sizeof *parts };

static size_t resident(const char *part) {
    return json_in("resident", part); /* null is 0 */
}

static bool is_near(size_t got, size_t wanted, size_t by) {
    return (got > wanted ? got - wanted : wanted - got) <= by;
}

/* B1 and B2; and what is without memory is the rest of what is taken. */
static bool sums_hold(void) {
    size_t sum = 0, total = resident("total");
    for (int i = 0; i < PARTS; i++)
        sum += resident(parts[i]);
    bool right = sum == total && total + resident("others") == json_in("process", "rss") &&
                 total + resident("returned") == json_number("taken");
    if (!right)
        printf("# parts %zu, total %zu, others %zu, rss %zu, returned %zu, taken %zu\n", sum, total, resident("others"),
               json_in("process", "rss"), resident("returned"), json_number("taken"));
    return right;
}

/* Resident bytes of the mappings that are no file's and no stack. */
static size_t unnamed_resident(void) {
    char line[512], name[256];
    size_t bytes = 0, number;
    bool named = false;
    FILE *stream = fopen("/proc/self/smaps", "r");
    while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) == 2) {
            named = sscanf(line, "%*s %*s %*s %*s %*s %255s", name) == 1 && strcmp(name, "[heap]") != 0;
        } else if (sscanf(line, "Rss: %zu kB", &number) == 1) {
            bytes += named ? 0 : number * 1024;
        }
    }
    if (stream == NULL)
        abort();
    fclose(stream);
    return bytes;
}

/* What has no name is the heap, mappings of blocks and own data, `more` of this program's, and some pages of libc's and the
 * loader's variables. */
static void kernel_agrees(const char *when, size_t more) {
    size_t unnamed = unnamed_resident(); /* allocates the stream's buffer */
    unnamed = unnamed_resident();
    json_read();
    tap(sums_hold() && unnamed >= resident("total") + more && unnamed <= resident("total") + more + NEAR,
        "%s: the parts add up, and are what smaps has: %zu of %zu KiB", when, resident("total") / 1024, unnamed / 1024);
}

/* ---- each in its part --------------------------------------------------------------------------------------------- */

struct before {
    size_t part[PARTS], total, others;
};

static struct before look(void) {
    struct before before;
    json_read();
    for (int i = 0; i < PARTS; i++)
        before.part[i] = resident(parts[i]);
    before.total = resident("total");
    before.others = resident("others");
    return before;
}

static bool grew(const struct before *before, const char *part, size_t by, size_t tolerance) {
    json_read();
    size_t was = 0, is = resident(part);
    for (int i = 0; i < PARTS; i++)
        if (strcmp(parts[i], part) == 0)
            was = before->part[i];
    if (is_near(is - was, by, tolerance) && sums_hold())
        return true;
    printf("# %s: %zu -> %zu, wanted %zu more\n", part, was, is, by);
    return false;
}

enum { SMALL = 40000, SMALL_BYTES = 200 }; /* of the class of 208 bytes */
static char *small[SMALL];

static void blocks_and_holes(void) {
    struct before before = look();
    for (int i = 0; i < SMALL; i++)
        memset(small[i] = malloc(SMALL_BYTES), 1, SMALL_BYTES);
    tap(grew(&before, "live", SMALL * 208, 8 * PAGE), "%d small blocks are live, as rounded", SMALL);
    for (int i = 0; i < SMALL; i++)
        if (i % 40 != 0)
            free(small[i]);
    malloc_trim(0);
    json_read();
    size_t kept = SMALL / 40, holding = resident("live") - before.part[0] + resident("beside") - before.part[4];
    tap(sums_hold() && is_near(holding, kept * 4096, kept * 4096 / 4) && resident("holes") - before.part[5] < NEAR,
        "one of 40 stays: after malloc_trim %zu KiB are left of live and beside, for %zu blocks", holding / 1024, kept);
    for (int i = 0; i < SMALL; i += 40)
        free(small[i]);
    malloc_trim(0);
}

static void large_and_mapped(void) {
    struct before before = look();
    char *mapped = malloc(64 * MIB), *large = malloc(100000);
    memset(mapped, 1, 5 * MIB);
    memset(large, 1, 8 * PAGE);
    tap(grew(&before, "live", 5 * MIB + 8 * PAGE, 8 * PAGE), "of a mapping and of a large block live is what was touched");
    free(mapped);
    free(large);
    tap(grew(&before, "live", 0, 8 * PAGE), "... and nothing of them when they are freed");
}

static void not_ours(void) {
    struct before before = look();
    char *own = mmap(NULL, 9 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(own, 1, 9 * MIB);
    json_read();
    tap(sums_hold() && is_near(resident("others") - before.others, 9 * MIB, NEAR) &&
            is_near(resident("total"), before.total, NEAR),
        "a mapping of the program's own is not ours");
    munmap(own, 9 * MIB);
}

/* Other callers of sbrk have memory between ours. */
static void foreign_break(void) {
    struct before before = look();
    char *own = sbrk((intptr_t)FOREIGN);
    memset(own, 1, FOREIGN);
    char *behind = malloc(100 * 1024);
    for (int i = 0; i < 40; i++)
        memset(malloc(100 * 1024), 1, 100 * 1024);
    json_read();
    tap(sums_hold() && is_near(resident("others") - before.others, FOREIGN, NEAR) &&
            is_near(resident("total") - before.total, 40 * 112 * 1024, 40 * 3 * PAGE + NEAR),
        "nor is what another caller of sbrk has");
    free(behind);
}

/* Memory that was only read has none of its own: all share a page of zeros. A few kernels have none, and take memory for it: so
 * it is to be as the kernel has it. */
static void only_read(void) {
    size_t bytes = 40 * MIB, sum = 0;
    struct before before = look();
    size_t unnamed = unnamed_resident();
    volatile char *p = calloc(1, bytes);
    for (size_t i = 0; i < bytes; i += PAGE)
        sum += (size_t)p[i];
    size_t taken = unnamed_resident() - unnamed;
    json_read();
    bool pagemap = strstr(json_text, "\"told_by\": \"pagemap\"") != NULL;
    bool right = sum == 0 && (!pagemap || is_near(resident("live") - before.part[0], taken, NEAR));
    tap(right, "what was only read is resident as the kernel says%s", pagemap ? "" : " # SKIP the kernel has no PAGEMAP_SCAN");
    free((void *)p);
}

/* ---- what malloc_trim gives back ---------------------------------------------------------------------------------- */

enum { COUNT = 300000 };
static char *blocks[COUNT];

/* As a program that frees most of its blocks in a pattern. */
static void fill_and_free(char pattern, uint64_t *random) {
    for (int i = 0; i < COUNT; i++) {
        size_t bytes = tap_random(random) % 64 == 0 ? 1000 + tap_random(random) % 6000 : 16 + tap_random(random) % 240;
        memset(blocks[i] = malloc(bytes), 1, bytes);
    }
    for (int i = 0; i < COUNT; i++) {
        bool keep = pattern == 'r' ? tap_random(random) % 20 == 0 : pattern == 'b' ? i / 2000 % 20 == 0 : i < COUNT / 20;
        if (!keep) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    }
}

static void drop_all(void) {
    for (int i = 0; i < COUNT; i++) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void trim_is_told(const char *pattern, size_t tolerance) {
    uint64_t random = 20261124;
    fill_and_free(*pattern, &random);
    json_read();
    bool sums = sums_hold();
    size_t told = resident("trim"), ours = resident("total"), rss = json_in("process", "rss");
    malloc_trim(0);
    json_read();
    size_t gave = ours - resident("total"), gone = rss - json_in("process", "rss");
    tap(sums && sums_hold() && told > 10 * MIB && is_near(told, gave, tolerance) &&
            is_near(told, gone, tolerance + NEAR + NEAR / 2),
        "%s: malloc_trim gives back %zu KiB as told, %zu; of the process %zu", pattern, told / 1024, gave / 1024, gone / 1024);
    drop_all();
}

static void *wait_with_lists(void *barrier) {
    enum { OWN = 2000 };
    void **own = malloc(OWN * sizeof *own);
    for (int i = 0; i < OWN; i++)
        memset(own[i] = malloc(64), 1, 64);
    for (int i = 0; i < OWN; i++)
        free(own[i]);
    free(own);
    pthread_barrier_wait(barrier);
    pthread_barrier_wait(barrier);
    return NULL;
}

/* The lists of another thread stay with it. */
static void another_thread(void) {
    pthread_barrier_t barrier;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, wait_with_lists, &barrier);
    pthread_barrier_wait(&barrier);
    trim_is_told("random, beside a thread with lists", 16 * PAGE);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
}

static void in_a_child(void) {
    uint64_t random = 7;
    fill_and_free('b', &random);
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(60);
        json_read();
        bool before = sums_hold();
        malloc_trim(0);
        json_read();
        _exit(!(before && sums_hold() && resident("trim") <= 16 * PAGE));
    }
    tap(tap_child_passed(child), "all adds up in a forked child, which shares its pages");
    drop_all();
}

int main(void) {
    static char buffer[1 << 16];
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    tap_watchdog(110);
    kernel_agrees("at the start", 0);
    blocks_and_holes();
    large_and_mapped();
    not_ours();
    foreign_break();
    only_read();
    trim_is_told("random", 16 * PAGE);
    kernel_agrees("after random", FOREIGN + sizeof blocks + sizeof small);
    trim_is_told("block", 16 * PAGE);
    trim_is_told("tail", 16 * PAGE);
    another_thread();
    in_a_child();
    kernel_agrees("at the end", FOREIGN + sizeof blocks + sizeof small);
    return tap_done();
}
