/* SPDX-License-Identifier: MIT */
/* One thread allocates, a second frees, a third frees again; each has a name. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static char *message;

static void *produce(void *unused) {
    message = malloc(100); /* ALLOCATED */
    return unused;
}

static void *consume(void *unused) {
    free(message); /* FREED */
    return unused;
}

static void *clean(void *unused) {
    free(message); /* FAULT */
    return unused;
}

static void run(const char *name, void *(*work)(void *)) {
    pthread_t id;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&gate);
    if (pthread_create(&id, NULL, work, NULL) != 0)
        abort();
    pthread_setname_np(id, name);
    pthread_mutex_unlock(&gate);
    pthread_join(id, NULL);
}

int main(void) {
    run("producer", produce);
    run("consumer", consume);
    run("cleaner", clean);
    puts("done");
    return 0;
}
