/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=360 */
/* The statistics add up whenever no thread is inside the allocator, and `live` is what the program counts itself. */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "programs/options/json.h"
#include "tap.h"

#define MIB ((size_t)1 << 20)
#define SEED 20261124

/* What a thread holds, and its own count of it. */
enum { HELD = 300 };
struct holder {
    uint64_t random;
    void *blocks[HELD];
    size_t bytes, count;
};

static void drop(struct holder *holder, int i) {
    if (holder->blocks[i] == NULL)
        return;
    holder->bytes -= malloc_usable_size(holder->blocks[i]);
    holder->count--;
    free(holder->blocks[i]);
    holder->blocks[i] = NULL;
}

static void keep(struct holder *holder, int i, void *block) {
    holder->blocks[i] = block;
    if (block != NULL) {
        holder->bytes += malloc_usable_size(block);
        holder->count++;
    }
}

/* Mostly small sizes, some large, some with a mapping of their own. */
static size_t any_size(uint64_t *random) {
    size_t kind = tap_random(random) % 100;
    size_t most = kind < 70 ? 1000 : kind < 94 ? 32768 : kind < 99 ? 120000 : 600000;
    return tap_random(random) % most + 1;
}

static void step(struct holder *holder) {
    int i = (int)(tap_random(&holder->random) % HELD);
    size_t bytes = any_size(&holder->random);
    void *old = holder->blocks[i];
    switch (tap_random(&holder->random) % 6) {
    case 0:
    case 1:
        drop(holder, i);
        break;
    case 2:
        if (old != NULL) {
            holder->bytes -= malloc_usable_size(old);
            holder->count--;
        }
        keep(holder, i, realloc(old, bytes));
        break;
    case 3:
        drop(holder, i);
        keep(holder, i, memalign((size_t)16 << tap_random(&holder->random) % 12, bytes));
        break;
    default:
        drop(holder, i);
        keep(holder, i, malloc(bytes));
    }
}

static void drop_all(struct holder *holder) {
    for (int i = 0; i < HELD; i++)
        drop(holder, i);
}

/* ---- one thread -------------------------------------------------------------------------------------------------- */

static struct holder alone = {.random = SEED};

static bool counts_match(size_t live, size_t blocks, size_t bytes, size_t count) {
    if (json_number("live") - live == bytes && json_number("live_blocks") - blocks == count)
        return true;
    printf("# live %zu blocks %zu, counted %zu and %zu\n", json_number("live") - live,
           json_number("live_blocks") - blocks, bytes, count);
    return false;
}

static void one_thread(void) {
    json_read();
    size_t live = json_number("live"), blocks = json_number("live_blocks");
    bool adds_up = json_adds_up(), exact = true;
    for (int i = 0; i < 30000; i++) {
        step(&alone);
        if (i % 5000 == 2500)
            malloc_trim(i % 10000 == 2500 ? 0 : 300000);
        if (i % 50 != 0)
            continue;
        json_read();
        adds_up = json_adds_up() && adds_up;
        exact = counts_match(live, blocks, alone.bytes, alone.count) && exact;
    }
    tap(adds_up, "one thread: the statistics add up after each 50 of 30000 steps, seed %d", SEED);
    tap(exact, "one thread: live bytes and blocks are those that the program counts");
    drop_all(&alone);
    json_read();
    tap(json_number("live") == live && json_number("live_blocks") == blocks, "all is freed: live is what it was");
}

static void foreign_break(void) {
    bool adds_up = true;
    for (int i = 0; i < 30; i++) {
        if (sbrk(1000 + i * 3001) == (void *)-1)
            abort();
        for (int k = 0; k < 400; k++)
            step(&alone);
        json_read();
        adds_up = json_adds_up() && adds_up;
    }
    drop_all(&alone);
    malloc_trim(0);
    json_read();
    tap(json_adds_up() && adds_up, "they add up where other callers of sbrk take memory in between");
}

/* ---- many threads ------------------------------------------------------------------------------------------------ */

enum { THREADS = 8, ROUNDS = 40, STEPS = 1000, MAIL = 64 };
static struct holder holders[THREADS];
static _Atomic(void *) mail[MAIL]; /* blocks on their way to another thread, counted by nobody else */
static pthread_barrier_t barrier;

/* Blocks are also freed by threads that did not allocate them. */
static void pass_on(struct holder *holder) {
    int i = (int)(tap_random(&holder->random) % HELD);
    void *mine = holder->blocks[i];
    if (mine != NULL) {
        holder->bytes -= malloc_usable_size(mine);
        holder->count--;
        holder->blocks[i] = NULL;
    }
    void *theirs = atomic_exchange(&mail[tap_random(&holder->random) % MAIL], mine);
    keep(holder, i, theirs);
}

static void *work(void *data) {
    struct holder *holder = data;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < STEPS; i++) {
            step(holder);
            pass_on(holder);
        }
        pthread_barrier_wait(&barrier); /* main looks between this and the next */
    }
    pthread_barrier_wait(&barrier);
    return NULL;
}

static bool quiet_point(size_t live, size_t blocks) {
    size_t bytes = 0, count = 0;
    for (int i = 0; i < THREADS; i++) {
        bytes += holders[i].bytes;
        count += holders[i].count;
    }
    for (int i = 0; i < MAIL; i++)
        if (mail[i] != NULL) {
            bytes += malloc_usable_size(mail[i]);
            count++;
        }
    json_read();
    bool adds_up = json_adds_up(), exact = counts_match(live, blocks, bytes, count);
    return adds_up && exact;
}

static void many_threads(void) {
    pthread_t threads[THREADS];
    bool right = true;
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        holders[i].random = (uint64_t)(SEED + 7 * i);
        pthread_create(&threads[i], NULL, work, &holders[i]);
    }
    json_read();
    size_t live = json_number("live"), blocks = json_number("live_blocks");
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        right = quiet_point(live, blocks) && right;
    }
    tap(right, "%d threads: at each of %d quiet points all adds up, and live is exact", THREADS, ROUNDS);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    json_read();
    tap(json_adds_up() && json_number("threads") == 1, "and after their end, with no list left behind");
    for (int i = 0; i < THREADS; i++)
        drop_all(&holders[i]);
    for (int i = 0; i < MAIL; i++)
        free(atomic_exchange(&mail[i], NULL));
}

static _Atomic bool stop;

static void *generation(void *data) {
    struct holder *holder = data;
    for (int i = 0; i < 3000; i++)
        step(holder);
    drop_all(holder);
    return NULL;
}

static void *generations(void *data) {
    while (!atomic_load(&stop)) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, generation, data) == 0)
            pthread_join(thread, NULL);
    }
    return NULL;
}

/* Read while threads work, come and go, nothing can be exact; but nothing may be absurd. */
static void while_they_run(void) {
    pthread_t threads[4];
    bool sane = true;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, generations, &holders[i]);
    for (int i = 0; i < 400; i++) {
        static const char *const keys[][2] = {{"", "taken"}, {"", "live"}, {"", "cached"}, {"", "free"}, {"", "metadata"},
                                              {"", "live_blocks"}, {"cached_parts", "lists"}, {"cached_parts", "parked"},
                                              {"free_parts", "home"}};
        json_read();
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            sane = sane && json_in(keys[k][0], keys[k][1]) <= 1024 * MIB;
        struct json_classes classes = json_classes();
        sane = sane && classes.cached == json_number("cached") && classes.home == json_in("free_parts", "home");
        struct mallinfo2 info = mallinfo2();
        sane = sane && info.arena <= 1024 * MIB && info.uordblks <= 1024 * MIB && info.hblkhd <= 1024 * MIB &&
               info.fordblks <= 1024 * MIB && info.keepcost <= 1024 * MIB;
        sched_yield();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    tap(sane, "read 400 times while threads run and end: no crash, no absurd number");
    json_read();
    tap(json_adds_up(), "all adds up when they are gone");
}

static void in_a_child(void) {
    for (int i = 0; i < 2000; i++)
        step(&alone);
    pid_t child = fork();
    if (child == 0) {
        tap_watchdog(30);
        json_read();
        bool before = json_adds_up();
        drop_all(&alone);
        malloc_trim(0);
        json_read();
        _exit(!(before && json_adds_up()));
    }
    tap(tap_child_passed(child), "all adds up in a forked child");
    drop_all(&alone);
}

/* ---- glibc's calls ----------------------------------------------------------------------------------------------- */

static void glibc_structures(void) {
    void *large = malloc(40000), *mapped = malloc(64 * MIB), *small = malloc(100);
    struct mallinfo2 info = mallinfo2();
    struct mallinfo old = mallinfo();
    json_read();
    tap(info.arena == json_in("heap", "bytes") + json_in("guarded", "bytes") && info.arena == info.uordblks + info.fordblks,
        "mallinfo2: arena is the heap and guarded blocks, the sum of uordblks and fordblks");
    tap(info.uordblks + info.hblkhd == json_number("live") &&
            info.hblks == json_in("mapped", "blocks"),
        "mallinfo2: uordblks and hblkhd are live");
    tap(info.smblks == json_number("cached_blocks") && info.fsmblks == json_number("cached") && info.ordblks > 0 &&
            info.keepcost == json_number("top"),
        "mallinfo2: fast blocks, free blocks, what can be trimmed");
    tap((size_t)old.hblkhd == info.hblkhd && (size_t)old.arena == info.arena && (size_t)old.uordblks == info.uordblks,
        "mallinfo says the same");
    void *huge = malloc((size_t)3 << 30);
    old = mallinfo();
    tap(huge == NULL || old.hblkhd == INT32_MAX, "what does not fit an int is the largest int");
    free(huge), free(small), free(mapped), free(large);
    json_read();
    tap(json_number("peak") >= json_number("taken") + 64 * MIB && json_in("mapped", "peak") >= 64 * MIB,
        "the most that was taken is known when it has been given back");
}

static void trim(void) {
    enum { COUNT = 300000 };
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++)
        memset(blocks[i] = malloc(200), 1, 200);
    size_t full = tap_resident();
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    int first = malloc_trim(20 * MIB), second = malloc_trim(20 * MIB);
    json_read();
    size_t kept = json_number("top");
    tap(first == 1 && second == 0 && kept >= 19 * MIB, "malloc_trim(20 MiB) says 1, then 0, and keeps %zu bytes", kept);
    int third = malloc_trim(0), fourth = malloc_trim(0);
    size_t left = tap_resident();
    json_read();
    tap(third == 1 && fourth == 0 && json_number("top") < MIB, "malloc_trim(0) says 1, then 0, and keeps nothing");
    tap(full >= left + 50 * MIB, "resident memory really drops: %zu -> %zu", full, left);
}

static void json_cut(void) {
    char small[100];
    memset(small, 'x', sizeof small);
    json_call(NULL, 0); /* what is resident of the process has more digits when this code has run */
    size_t whole = json_call(NULL, 0), cut = json_call(small, 50);
    tap(whole > 300 && cut == whole && strlen(small) == 49 && small[50] == 'x',
        "myalloc_stats_json cuts as snprintf does");
    char one = 'x';
    tap(json_call(&one, 1) == whole && one == '\0', "... in a room of one byte too");
}

int main(void) {
    static char buffer[1 << 16];
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    tap_watchdog(110);
    json_cut();
    one_thread();
    foreign_break();
    many_threads();
    while_they_run();
    in_a_child();
    glibc_structures();
    trim();
    return tap_done();
}
