/* SPDX-License-Identifier: MIT */
/* run: helper */
/* Opens one library, allocates in it, closes it, and does the same with another that comes to the same addresses. `reload ONE
 * OTHER`; started by unwind.test with leaks:1. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static __attribute__((noinline)) int lose(void) {
    *(void *volatile *)&(void *){NULL} = malloc(4321);
    return 0;
}

static __attribute__((noinline)) void *load(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    int (*through)(int (*)(void)) = library != NULL ? (int (*)(int (*)(void)))dlsym(library, "through") : NULL;
    if (through == NULL)
        exit(3);
    for (int i = 0; i < 3; i++)
        through(lose);
    dlclose(library);
    return (void *)through;
}

int main(int count, char **arguments) {
    if (count < 3)
        return 2;
    void *one = load(arguments[1]), *other = load(arguments[2]);
    printf("%s\n", one == other ? "same" : "other");
    return 0;
}
