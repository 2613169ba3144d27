/* SPDX-License-Identifier: MIT */
/* One thread allocates, a second frees, a third frees again; each has a name. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static char *message;

struct work {
    const char *name;
    void *(*function)(void *);
};

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

static void *begin(void *work) {
    const struct work *mine = work;
    pthread_setname_np(pthread_self(), mine->name);
    return mine->function(NULL);
}

static void run(const char *name, void *(*function)(void *)) {
    pthread_t id;
    struct work work = {name, function};
    if (pthread_create(&id, NULL, begin, &work) != 0)
        abort();
    pthread_join(id, NULL);
}

int main(void) {
    run("producer", produce);
    run("consumer", consume);
    run("cleaner", clean);
    puts("done");
    return 0;
}
