/* SPDX-License-Identifier: MIT */
/* What the loads share: parameters, random numbers, blocks whose content is checked, threads, queues, figures.
 *
 * A load prints lines `figure NAME VALUE UNIT` when it succeeded. It exits 1, with the reason on stderr, when its
 * self-check found something wrong or memory was refused, and 2, with a usage line, when its arguments are wrong.
 * A load's own tables come from mmap: the allocator serves nothing but what the load is about. */
#ifndef LOAD_H
#define LOAD_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef __cplusplus
#include <new>
#endif

enum { LINE = 64, QUEUE_MOST = 64 };

__attribute__((noreturn, format(printf, 1, 2))) static inline void load_fail(const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "%s: %s\n", program_invocation_short_name, text);
    _exit(1);
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */

struct parameter {
    const char *name;
    long *value;
    long least, most;
};

static long load_seed = 1;
static const struct parameter *load_list;
static size_t load_count;
static long load_defaults[16];

/* Says what is wrong with the arguments and ends. */
__attribute__((noreturn)) static inline void load_refuse(const char *argument, const char *wrong) {
    fprintf(stderr, "%s: %s: %s\nusage: %s", program_invocation_short_name, argument, wrong,
            program_invocation_short_name);
    for (size_t i = 0; i < load_count; i++)
        fprintf(stderr, " [--%s %ld]", load_list[i].name, load_defaults[i]);
    fputs(" [--seed 1]\n", stderr);
    exit(2);
}

static inline const struct parameter *load_find(const char *argument) {
    static const struct parameter seed = {"seed", &load_seed, 0, 1000000000};
    for (size_t i = 0; i < load_count; i++)
        if (strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, load_list[i].name) == 0)
            return &load_list[i];
    if (strcmp(argument, "--seed") != 0)
        load_refuse(argument, "no such parameter");
    return &seed;
}

static inline void load_set(const struct parameter *parameter, const char *argument, const char *value) {
    char *end = NULL;
    if (value == NULL)
        load_refuse(argument, "needs a value");
    errno = 0;
    long number = strtol(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0)
        load_refuse(argument, "needs a whole number");
    if (number < parameter->least || number > parameter->most)
        load_refuse(argument, number < parameter->least ? "the number is too small" : "the number is too large");
    *parameter->value = number;
}

static inline void load_parse(int argc, char **argv, const struct parameter *list, size_t count) {
#ifdef __cplusplus
    std::set_new_handler([] { load_fail("memory was refused"); });
#endif
    load_list = list;
    load_count = count;
    for (size_t i = 0; i < count; i++)
        load_defaults[i] = *list[i].value;
    for (int i = 1; i < argc; i += 2)
        load_set(load_find(argv[i]), argv[i], argv[i + 1]);
}

#define load_parameters(argc, argv, list) load_parse(argc, argv, list, sizeof(list) / sizeof *(list))

static inline void load_range(long least, long most) {
    if (least > most)
        load_refuse("--least", "is more than --most");
}

/* ---- random numbers: splitmix64 ---------------------------------------------------------------------------------- */

static inline uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The state of a stream of numbers, one for each thread of a load. */
static inline uint64_t random_stream(long number) {
    uint64_t state = (uint64_t)load_seed << 32 | (uint32_t)number;
    return random_next(&state);
}

/* 0 to limit - 1; limit below 2^32. */
static inline size_t random_below(uint64_t *state, size_t limit) {
    return (size_t)((random_next(state) >> 32) * limit >> 32);
}

static inline size_t random_between(uint64_t *state, size_t least, size_t most) {
    return least + random_below(state, most - least + 1);
}

/* Sizes by a Pareto law with exponent 1: half are below twice the least, a tenth above ten times. */
static inline size_t random_pareto(uint64_t *state, size_t least, size_t most) {
    for (;;) {
        size_t size = (size_t)(((uint64_t)least << 32) / ((random_next(state) >> 32) + 1));
        if (size <= most)
            return size;
    }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static inline void *table_new(size_t count, size_t size) {
    void *table = mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED)
        load_fail("no memory for a table of %zu entries", count);
    return table;
}

static inline void *checked(void *p, size_t size) {
    if (p == NULL)
        load_fail("%zu bytes were refused", size);
    return p;
}

static inline double page_bytes(void) {
    return (double)sysconf(_SC_PAGESIZE);
}

/* Pages of the process that are resident, by the kernel; nothing is allocated to learn it. */
static inline long resident_pages(void) {
    char text[256];
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    long pages = -1;
    close(file);
    text[length > 0 ? length : 0] = '\0';
    if (sscanf(text, "%*d %ld", &pages) != 1)
        load_fail("/proc/self/statm cannot be read");
    return pages;
}

/* A live block and what its first and last bytes must hold. */
struct block {
    unsigned char *at;
    uint32_t size, tag;
};

static inline void block_adopt(struct block *block, void *p, size_t size, uint32_t tag) {
    block->at = (unsigned char *)checked(p, size);
    block->size = (uint32_t)size;
    block->tag = tag;
    if (size > sizeof tag)
        memcpy(block->at, &tag, sizeof tag);
    block->at[size - 1] = (unsigned char)tag;
}

static inline void block_new(struct block *block, size_t size, uint32_t tag) {
    block_adopt(block, malloc(size), size, tag);
}

static inline void block_check(const struct block *block) {
    uint32_t head = block->tag;
    if (block->size > sizeof head)
        memcpy(&head, block->at, sizeof head);
    if (head != block->tag || block->at[block->size - 1] != (unsigned char)block->tag)
        load_fail("a block of %u bytes at %p does not hold what was written to it", block->size, (void *)block->at);
}

static inline void block_drop(struct block *block) {
    block_check(block);
    free(block->at);
    block->at = NULL;
}

/* Counts up in the last byte, in memory each time. */
static inline void block_hammer(struct block *block, long repetitions) {
    volatile unsigned char *last = block->at + block->size - 1;
    block_check(block);
    for (long r = 0; r < repetitions; r++)
        *last = (unsigned char)(*last + 1);
    if (*last != (unsigned char)(block->tag + (unsigned long)repetitions))
        load_fail("%ld writes to a block of %u bytes did not add up", repetitions, block->size);
    *last = (unsigned char)block->tag;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static inline pthread_t thread_start(void *(*body)(void *), void *argument) {
    pthread_t id;
    int error = pthread_create(&id, NULL, body, argument);
    if (error != 0)
        load_fail("a thread was refused: %s", strerror(error));
    return id;
}

/* Runs `count` threads to their end, each with its element of the array of `size`d arguments. */
static inline void threads_run(long count, void *(*body)(void *), void *arguments, size_t size) {
    pthread_t *ids = (pthread_t *)table_new((size_t)count, sizeof *ids);
    for (long i = 0; i < count; i++)
        ids[i] = thread_start(body, (char *)arguments + (size_t)i * size);
    for (long i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    munmap(ids, (size_t)count * sizeof *ids);
}

/* Pointers handed from thread to thread; at most `most` wait. */
struct __attribute__((aligned(64))) queue { /* no line is of two queues */
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    unsigned first, count, most;
    void *waiting[QUEUE_MOST];
};

static inline void queue_init(struct queue *queue, unsigned most) {
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_empty, NULL);
    pthread_cond_init(&queue->not_full, NULL);
    queue->first = queue->count = 0;
    queue->most = most;
}

static inline void queue_put(struct queue *queue, void *p) {
    pthread_mutex_lock(&queue->lock);
    while (queue->count == queue->most)
        pthread_cond_wait(&queue->not_full, &queue->lock);
    queue->waiting[(queue->first + queue->count++) % QUEUE_MOST] = p;
    pthread_cond_signal(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
}

static inline void *queue_take(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0)
        pthread_cond_wait(&queue->not_empty, &queue->lock);
    void *p = queue->waiting[queue->first++ % QUEUE_MOST];
    queue->count--;
    pthread_cond_signal(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
    return p;
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline double processor_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Counts are whole; small parts of a whole get two digits more. */
static inline void figure(const char *name, double value, const char *unit) {
    printf("figure %s %.*f %s\n", name, value < 10 && value != (double)(long)value ? 2 : 0, value, unit);
}

static inline int lines_overlap(const struct block *block, uintptr_t line) {
    return (uintptr_t)block->at / LINE <= line && line <= ((uintptr_t)block->at + block->size - 1) / LINE;
}

/* Cache lines that hold blocks of more than one thread; block i belongs to thread i / each. A line is counted at the
 * first block that lies in it. */
static inline long lines_shared(const struct block *blocks, size_t threads, size_t each) {
    long shared = 0;
    for (size_t i = 0; i < threads * each; i++) {
        uintptr_t first = (uintptr_t)blocks[i].at / LINE, last = ((uintptr_t)blocks[i].at + blocks[i].size - 1) / LINE;
        for (uintptr_t line = first; line <= last; line++) {
            int counted = 0, others = 0;
            for (size_t k = 0; k < threads * each; k++)
                if (lines_overlap(&blocks[k], line)) {
                    counted |= k < i;
                    others |= k / each != i / each;
                }
            shared += !counted && others;
        }
    }
    return shared;
}

/* Runs a load of false sharing, which returns the number of shared lines, with blocks of so many bytes (0: several). */
static inline void lines_figures(long bytes, long (*run)(size_t bytes)) {
    static const size_t several[] = {8, 16, 24, 32, 48};
    long total = 0;
    for (size_t i = 0; i < (bytes > 0 ? 1 : sizeof several / sizeof *several); i++) {
        char name[32];
        size_t size = bytes > 0 ? (size_t)bytes : several[i];
        long shared = run(size);
        snprintf(name, sizeof name, "shared-%zu", size);
        figure(name, (double)shared, "lines");
        total += shared;
    }
    figure("shared-lines", (double)total, "lines");
}

#endif
