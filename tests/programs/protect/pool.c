/* SPDX-License-Identifier: MIT */
/* run: helper
 * What guarded pages take and give, as sample.test asks: "pool TASK NUMBER" prints figures, one a line. */
#include <malloc.h>
#include <sys/wait.h>
#include <time.h>

#include "tap.h"

extern size_t myalloc_stats_json(char *, size_t) __attribute__((weak));
extern int myalloc_check_heap(void) __attribute__((weak));

static char text[64 * 1024];

/* A number of the statistics: the first of this name behind the other. */
static size_t figure(const char *after, const char *name) {
    const char *at = strstr(text, after);
    at = at ? strstr(at, name) : NULL;
    return at ? strtoul(at + strlen(name), NULL, 10) : (size_t)-1;
}

/* What RLIMIT_DATA counts. */
static size_t data_bytes(void) {
    char line[200];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "VmData: %zu", &kib);
    if (status != NULL)
        fclose(status);
    return kib * 1024;
}

static void show(void) {
    myalloc_stats_json(text, sizeof text);
    size_t sum = figure("", "\"live\": ") + figure("", "\"cached\": ") + figure("", "\"free\": ") +
                 figure("", "\"metadata\": ");
    printf("sum %s\n", sum == figure("", "\"taken\": ") ? "right" : "wrong");
    printf("blocks %zu\nbytes %zu\nsamples %zu\n", figure("guarded", "\"blocks\": "), figure("guarded", "\"bytes\": "),
           figure("guarded", "\"samples\": "));
    printf("walk %d\n", myalloc_check_heap());
    size_t lines = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    for (int c; maps != NULL && (c = getc(maps)) != EOF;)
        lines += c == '\n';
    printf("mappings %zu\nresident %zu\ndata %zu\n", lines, tap_resident(), data_bytes());
    fflush(stdout);
}

static size_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (size_t)now.tv_sec * 1000 + (size_t)now.tv_nsec / 1000000;
}

/* So many blocks that stay, every byte written; sizes to five pages. */
static void hold(size_t number) {
    for (size_t i = 0; i < number; i++) {
        size_t bytes = i % 50 == 0 ? 20000 : 1 + i % 300;
        memset(malloc(bytes), (int)i, bytes);
    }
}

/* Blocks that come and go, a hundred live at a time. */
static void turn_over(size_t number) {
    static char *live[100];
    for (size_t i = 0; i < number; i++) {
        char **place = &live[i * 7919 % 100];
        free(*place);
        *place = malloc(16 + i % 16 * 16);
        if (*place != NULL) /* in runs where memory is refused */
            **place = 1;
    }
}

/* Stacks of blocks: so many allocations in all. */
static void batches(size_t number) {
    static void *blocks[1000];
    size_t start = milliseconds();
    for (size_t done = 0; done < number; done += 1000) {
        for (size_t i = 0; i < 1000; i++)
            blocks[i] = malloc(16 + i % 32 * 16);
        for (size_t i = 0; i < 1000; i++)
            free(blocks[i]);
    }
    printf("milliseconds %zu\n", milliseconds() - start);
}

/* One size has its blocks from its list for ever, another makes slow calls now and then; until a guarded one is found. */
static void warm(size_t number) {
    size_t found = 0;
    static void *cold[256];
    for (size_t i = 0; i < number && found == 0; i++) {
        char *p = malloc(90);
        found += malloc_usable_size(p) == 90; /* exact on guarded pages, 96 elsewhere */
        free(p);
        for (size_t k = 0; i % 16 == 0 && k < 256; k++)
            cold[k] = malloc(200);
        for (size_t k = 0; i % 16 == 0 && k < 256; k++)
            free(cold[k]);
    }
    printf("found %zu\n", found);
}

/* The child frees what the parent allocated, and has guarded blocks of its own. */
static void forks(void) {
    char *p = malloc(40), *kept = malloc(40);
    memset(kept, 5, 40);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) {
            bool good = p[0] == 0 && malloc_usable_size(p) == 40;
            p[0] = 1;
            free(p);
            for (int k = 0; k < 200; k++)
                free(memset(malloc(100), k, 100));
            for (int k = 0; k < 40; k++)
                good &= kept[k] == 5;
            _exit(good && myalloc_check_heap() == 0 ? 0 : 1);
        }
        if (!tap_child_passed(child))
            abort();
    }
    bool good = p[0] == 0 && malloc_usable_size(p) == 40;
    free(p);
    printf("forks %s\n", good ? "right" : "wrong");
}

int main(int count, char **words) {
    tap_watchdog(100);
    size_t number = count > 2 ? strtoul(words[2], NULL, 10) : 0;
    if (strcmp(words[1], "hold") == 0)
        hold(number);
    else if (strcmp(words[1], "turn") == 0)
        turn_over(number);
    else if (strcmp(words[1], "batches") == 0)
        batches(number);
    else if (strcmp(words[1], "warm") == 0)
        warm(number);
    else
        forks();
    show();
    return 0;
}
