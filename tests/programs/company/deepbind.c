/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Opens a plug-in in the way that the first argument names, and passes blocks both ways between it and the program:
 * deepbind.test says what must come of it. usage: deepbind WAY PLUGIN */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 1000 };

static void *must(void *found) {
    if (found == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(9);
    }
    return found;
}

static char *(*give)(void);
static void (*take)(char *);

static void find_calls(void *plugin) {
    *(void **)&give = must(dlsym(plugin, "give"));
    *(void **)&take = must(dlsym(plugin, "take"));
}

/* What one side allocates the other resizes, measures and frees. */
static void pass_blocks(void) {
    for (int i = 0; i < ROUNDS; i++) {
        free(give());
        take(strdup("from the program"));
        char *text = give();
        if (malloc_usable_size(text) < strlen(text) + 1)
            exit(8);
        text = realloc(text, 100 + (size_t)i * 100);
        take(text);
    }
}

/* Both sides keep what they have to themselves, and both heaps grow. */
static void keep_blocks_apart(void) {
    char *kept[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        take(give());
        kept[i] = malloc(20000);
        memset(kept[i], i, 20000);
    }
    for (int i = 0; i < ROUNDS; i++) {
        take(give());
        if (kept[i][0] != (char)i || kept[i][19999] != (char)i)
            exit(7);
        free(kept[i]);
    }
}

/* Whose malloc the plug-in calls: the name of a library. */
static const char *malloc_of(void *plugin) {
    Dl_info info;
    void *(*address)(void);
    *(void **)&address = must(dlsym(plugin, "malloc_address"));
    must(dladdr(address(), &info) ? &info : NULL);
    return strrchr(info.dli_fname, '/') + 1;
}

static void *open_deep(void *path) {
    return dlopen(path, RTLD_NOW | RTLD_DEEPBIND);
}

/* Four threads open it at once: each may be the first that asks for libc's dlopen. */
static void *open_in_threads(char *path) {
    pthread_t threads[4];
    void *plugin = NULL;
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, open_deep, path) != 0)
            exit(6);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], &plugin);
    return plugin;
}

int main(int count, char **arguments) {
    const char *way = count == 3 ? arguments[1] : "";
    char *path = count == 3 ? arguments[2] : NULL;
    if (strcmp(way, "missing") == 0) {
        void *plugin = open_deep("no_such_file.so");
        printf("%s, %s\n", plugin == NULL ? "refused" : "opened", dlerror());
        return dlopen(NULL, RTLD_NOW) == NULL;
    }
    void *plugin = strcmp(way, "dlopen") == 0    ? open_deep(path)
                   : strcmp(way, "threads") == 0 ? open_in_threads(path)
                   : strcmp(way, "base") == 0    ? dlmopen(LM_ID_BASE, path, RTLD_NOW | RTLD_DEEPBIND)
                   : strcmp(way, "apart") == 0   ? dlmopen(LM_ID_NEWLM, path, RTLD_NOW)
                   : strcmp(way, "whose") == 0   ? open_deep(path)
                                                 : dlopen(path, RTLD_NOW);
    find_calls(must(plugin));
    if (strcmp(way, "apart") == 0)
        keep_blocks_apart();
    else if (strcmp(way, "whose") != 0)
        pass_blocks();
    printf("done, malloc of %s\n", malloc_of(plugin));
    return 0;
}
