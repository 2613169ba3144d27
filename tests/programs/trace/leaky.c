/* SPDX-License-Identifier: MIT */
/* Programs for leaks.test: `leaky CASE`. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tap.h"

#ifdef __clang__ /* does not clone, and does not know the word */
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

static void *volatile kept;
static volatile size_t too_much = (size_t)PTRDIFF_MAX / 2;

/* Global functions, linked with -rdynamic, so that their names are there to be found. */
void NOINLINE leak_big(void) {
    kept = malloc(500000); /* leak_big */
}

void NOINLINE leak_many(void) {
    for (int i = 0; i < 50; i++)
        kept = malloc(1000); /* leak_many */
}

void NOINLINE leak_small(size_t bytes) {
    kept = calloc(1, bytes); /* leak_small */
}

void NOINLINE leak_twice(void) {
    leak_small(7);
    leak_small(9);
}

static void NOINLINE leak_static(void) {
    kept = malloc(20000); /* leak_static */
}

static void groups(void) {
    leak_twice();
    leak_many();
    leak_big();
    leak_static();
    for (size_t size = 1; size < 4 << 20; size = size * 3 + 1)
        free(malloc(size));
    void *p = malloc(10);
    p = realloc(p, 100);
    if (realloc(p, too_much) != NULL || errno != ENOMEM)
        abort();
    kept = realloc(p, 3333); /* groups */
}

static void clean(void) {
    for (size_t size = 1; size < 4 << 20; size = size * 3 + 1)
        free(malloc(size));
}

/* More places than a report shows: each depth of the recursion is a stack of its own. */
static NOINLINE int recurse(int depth) {
    kept = malloc((size_t)depth + 1);
    return depth == 0 ? 0 : recurse(depth - 1) + 1;
}

static void places(void) {
    int sum = 0;
    for (int depth = 0; depth < 25; depth++) {
        sum += recurse(depth);
        sum += recurse(depth);
        sum += recurse(depth);
        sum += recurse(depth);
        sum += recurse(depth);
    }
    if (sum != 5 * 300)
        abort();
}

static void *work(void *data) {
    uint64_t seed = (uintptr_t)data * 7919;
    for (int i = 0; i < 5000; i++) {
        void *p = malloc(tap_random(&seed) % 3000);
        if (i % 3 == 0)
            p = realloc(p, tap_random(&seed) % 9000 + 1);
        free(p);
    }
    leak_small(4321);
    return NULL;
}

static void threads(void) {
    pthread_t ids[4];
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&ids[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < 4; i++)
        pthread_join(ids[i], NULL);
}

/* A child that ends by exit reports, one that ends by _exit does not. */
static void forking(void) {
    leak_small(100);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            leak_small(1000);
            kept = NULL; /* not for the destructor */
            if (i == 0)
                exit(0);
            _exit(0);
        }
        if (!tap_child_passed(child))
            abort();
    }
}

static void *late;

static void free_late(void) {
    free(late);
}

__attribute__((destructor)) static void free_kept(void) {
    free(kept);
}

static void at_exit(void) {
    atexit(free_late);
    late = malloc(70000);
    kept = malloc(80000);
}

/* ---- what is reachable ------------------------------------------------------------------------------------------- */

struct node {
    struct node *next;
    char more[120];
};

static struct node *NOINLINE make_list(int length) {
    struct node *list = NULL;
    for (int i = 0; i < length; i++) {
        struct node *node = malloc(sizeof *node);
        node->next = list;
        list = node;
    }
    return list;
}

static struct node *global_list;
static char *inner;
static __thread void *local;
static void **mapped;
static pthread_barrier_t begun, never;

/* Holds a block in its frame while the program ends. */
static void *stay(void *data) {
    void *volatile here = malloc(611);
    pthread_barrier_wait(&begun);
    pthread_barrier_wait(&never);
    free(here);
    return data;
}

static void held(void) {
    pthread_t id;
    global_list = make_list(100);
    inner = (char *)malloc(601) + 300;
    local = malloc(602);
    mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mapped[1000] = malloc(603);
    mapped[100000] = calloc(1, 300000); /* large, and leads on */
    *(void **)((char *)mapped[100000] + 200000) = malloc(604);
    pthread_barrier_init(&begun, NULL, 2);
    pthread_barrier_init(&never, NULL, 2);
    pthread_create(&id, NULL, stay, NULL);
    pthread_barrier_wait(&begun);
}

static void NOINLINE drop_lists(void) {
    struct node *list = make_list(10), *ring = make_list(20), *end = ring;
    while (end->next != NULL)
        end = end->next;
    end->next = ring;
    memset(list->more, 0, sizeof list->more);
}

/* Where the frames of the functions above lay. */
static void NOINLINE clear_stack(void) {
    volatile char nothing[4096];
    for (size_t i = 0; i < sizeof nothing; i++)
        nothing[i] = 0;
}

/* Deeper than clear_stack's own few words that are not cleared. */
static void NOINLINE drop_deeper(void) {
    volatile char room[256];
    room[0] = 0;
    drop_lists();
    room[255] = room[0];
}

static void lists(void) {
    drop_deeper();
    clear_stack();
}

/* A program whose own rules forbid it to read memory through the kernel. */
static void refused(void) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    leak_small(100);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        abort();
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"groups", groups}, {"clean", clean}, {"places", places}, {"threads", threads}, {"fork", forking}, {"exit", at_exit},
    {"held", held},     {"lists", lists}, {"refused", refused},
};

int main(int count, char **arguments) {
    tap_watchdog(60);
    for (size_t i = 0; count == 2 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, arguments[1]) == 0) {
            cases[i].run();
            if (cases[i].run != at_exit)
                kept = NULL;
            return 0;
        }
    fprintf(stderr, "usage: leaky CASE\n");
    return 2;
}
