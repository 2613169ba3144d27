/* SPDX-License-Identifier: MIT */
/* A program that loads a plug-in (plugin_part.c), lets it work and closes it. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    void (*work)(void) = plugin != NULL ? (void (*)(void))dlsym(plugin, "plugin_work") : NULL;
    if (work == NULL) {
        fprintf(stderr, "usage: plugin PATH: %s\n", argc > 1 ? dlerror() : "no path");
        return 2;
    }
    work();
    puts("done");
    return 0;
}
