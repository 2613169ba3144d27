/* SPDX-License-Identifier: MIT */
/* run: libs=so,debug timeout=900 effort=30 */
/* The triangle: a thread holds the list of streams in fflush(NULL) and waits for a stream; its owner is inside getline
 * and wants memory; a third thread is in fork(), where glibc takes the list of streams after an allocator's handlers
 * have run. A malloc that simply holds its locks across fork hangs here. The library's remedy is to take the list of
 * streams first; this program stands between it and glibc, and shows that without the remedy it does hang. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "tap.h"

enum { ROUNDS = 1000, ROUNDS_UNTIL_HANGING = 200000, HANGING_SECONDS = 10 };

/* What the library calls; glibc's own fork uses names of its own. */
static bool remedy = true;
static _Atomic unsigned long *locked; /* shared, as is the next */
static _Atomic unsigned long *done;

static void pass_on(const char *name) {
    void (*real)(void) = (void (*)(void))dlsym(RTLD_NEXT, name);
    if (remedy && real != NULL) {
        real();
        ++*locked;
    }
}

void _IO_list_lock(void);
void _IO_list_unlock(void);
void _IO_list_resetlock(void);

void _IO_list_lock(void) {
    pass_on("_IO_list_lock");
}

void _IO_list_unlock(void) {
    pass_on("_IO_list_unlock");
}

void _IO_list_resetlock(void) {
    pass_on("_IO_list_resetlock");
}

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

/* Forks while threads flush, read and print. Exit status 0 if every child could print and allocate. */
static _Noreturn void forks(const char *name, unsigned long rounds) {
    pthread_t ids[5];
    unsigned long passed = 0;
    pthread_create(&ids[0], NULL, flush_all, NULL);
    pthread_create(&ids[1], NULL, flush_all, NULL);
    pthread_create(&ids[2], NULL, read_lines, (void *)name);
    pthread_create(&ids[3], NULL, read_lines, (void *)name);
    pthread_create(&ids[4], NULL, print_lines, NULL);
    for (unsigned long i = 0; i < rounds; i++) {
        pid_t child = fork();
        if (child == 0) {
            tap_watchdog(60);
            FILE *file = fopen("/dev/null", "w");
            for (int k = 0; k < 50; k++) {
                fprintf(file, "%p\n", malloc((size_t)k * 100));
                fflush(NULL);
            }
            _exit(0);
        }
        passed += tap_child_passed(child);
        ++*done;
    }
    stop = true;
    for (int i = 0; i < 5; i++)
        pthread_join(ids[i], NULL);
    _exit(passed == rounds ? 0 : 1);
}

/* True if the process ends well; false if it fails, or if no round is done for so many seconds. */
static bool ends(pid_t process, unsigned seconds) {
    unsigned long before = 0;
    int status;
    for (unsigned quiet = 0; quiet < seconds * 10; quiet++) {
        if (waitpid(process, &status, WNOHANG) == process)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (*done != before)
            quiet = 0;
        before = *done;
        usleep(100000);
    }
    kill(-process, SIGKILL);
    waitpid(process, &status, 0);
    return false;
}

static bool run(const char *name, unsigned long rounds, unsigned seconds) {
    *done = *locked = 0;
    pid_t process = fork();
    if (process == 0) {
        setpgid(0, 0);
        forks(name, rounds);
    }
    setpgid(process, process);
    return ends(process, seconds);
}

int main(void) {
    tap_watchdog(280);
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    locked = shared;
    done = locked + 1;
    char *name = make_file();
    unsigned long rounds = (unsigned long)tap_effort(ROUNDS);
    bool ended = run(name, rounds, 60);
    tap(ended && *done == rounds && *locked >= rounds, "%lu forks while threads flush all streams, read lines and print",
        *done);
    remedy = false;
    ended = run(name, ROUNDS_UNTIL_HANGING, HANGING_SECONDS);
    tap(!ended && *locked == 0, "without the list of streams taken first it hangs, after %lu forks", *done);
    unlink(name);
    return tap_done();
}
