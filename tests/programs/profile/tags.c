/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What `myalloc report` tells of tags and lifetimes, for tests/tools/report.test: blocks of known sizes under known tags, freed
 * at once or after a while. Says whether the functions for it are there. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void myalloc_tag(const char *tag);
#pragma weak myalloc_tag

static void *kept[400];

static __attribute__((noinline)) void keep(size_t first, size_t count, size_t bytes) {
    for (size_t i = 0; i < count; i++)
        kept[first + i] = malloc(bytes);
}

static __attribute__((noinline)) void *brief(size_t bytes) {
    return malloc(bytes);
}

static __attribute__((noinline)) void *lasting(size_t bytes) {
    return malloc(bytes);
}

/* A new thread has no tag, and its own does not reach others. */
static void *in_thread(void *unused) {
    keep(100, 10, 3000);
    myalloc_tag("thread");
    keep(110, 10, 5000);
    return unused;
}

static void tag_by_a_text_that_goes(void) {
    char text[20];
    strcpy(text, "gone");
    myalloc_tag(text);
    strcpy(text, "other");
    keep(0, 10, 1000);
}

int main(void) {
    pthread_t thread;
    void *late[20];
    if (myalloc_tag == NULL)
        return 1;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    tag_by_a_text_that_goes();
    keep(10, 5, 1000);
    for (int i = 0; i < 20; i++)
        late[i] = lasting(600);
    myalloc_tag("a longer tag than the forty-seven bytes that there is room for");
    keep(200, 3, 7000);
    myalloc_tag("line\nbreak; \xc3\xa4");
    keep(210, 3, 9000);
    myalloc_tag(NULL);
    keep(220, 4, 11000);
    for (int i = 0; i < 30; i++)
        free(brief(600));
    usleep(150000);
    for (int i = 0; i < 20; i++)
        free(late[i]);
    myalloc_tag("child");
    if (fork() == 0) {
        keep(300, 2, 13000);
        exit(0);
    }
    wait(NULL);
    for (int i = 0; i < 3000; i++) { /* more than there is room for */
        char text[20];
        snprintf(text, sizeof text, "tag %d", i);
        myalloc_tag(text);
    }
    kept[399] = malloc(17000);
    return 0;
}
