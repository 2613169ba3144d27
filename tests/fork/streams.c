/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=100 */
/* The triangle: a thread holds the list of streams in fflush(NULL) and waits for a stream; its owner is inside getline
 * and wants memory; a third thread is in fork(), where glibc takes the list of streams after an allocator's handlers
 * have run. A malloc that simply holds its locks across fork hangs here. */
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"

static _Atomic bool stop;

static void *flush_all(void *data) {
    while (!stop)
        fflush(NULL);
    return data;
}

/* getline grows its buffer with realloc while it holds the stream. */
static void *read_lines(void *data) {
    while (!stop) {
        FILE *file = fopen(data, "r");
        char *line = NULL;
        size_t room = 0;
        while (file != NULL && getline(&line, &room, file) > 0) {
            free(line);
            line = NULL;
            room = 0;
        }
        free(line);
        if (file != NULL)
            fclose(file);
    }
    return NULL;
}

static void *print_lines(void *data) {
    FILE *file = fopen("/dev/null", "w");
    (void)data;
    while (!stop)
        fprintf(file, "%*d%s\n", 5000, 7, "text");
    fclose(file);
    return NULL;
}

static char *make_file(void) {
    static char name[] = "/tmp/myalloc-streams-XXXXXX";
    int fd = mkstemp(name);
    FILE *file = fdopen(fd, "w");
    for (int i = 0; i < 300; i++)
        fprintf(file, "%*d\n", i * 37 + 1, i);
    fclose(file);
    return name;
}

int main(void) {
    tap_watchdog(90);
    char *name = make_file();
    pthread_t ids[5];
    pthread_create(&ids[0], NULL, flush_all, NULL);
    pthread_create(&ids[1], NULL, flush_all, NULL);
    pthread_create(&ids[2], NULL, read_lines, name);
    pthread_create(&ids[3], NULL, read_lines, name);
    pthread_create(&ids[4], NULL, print_lines, NULL);
    int passed = 0, count = tap_effort(1000);
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            tap_watchdog(20);
            FILE *file = fopen("/dev/null", "w");
            for (int k = 0; k < 50; k++) {
                fprintf(file, "%p\n", malloc((size_t)k * 100));
                fflush(NULL);
            }
            _exit(0);
        }
        passed += tap_child_passed(child);
    }
    stop = true;
    for (int i = 0; i < 5; i++)
        pthread_join(ids[i], NULL);
    unlink(name);
    tap(passed == count, "%d forks while threads flush all streams, read lines and print", count);
    return tap_done();
}
