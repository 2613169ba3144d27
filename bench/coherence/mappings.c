/* SPDX-License-Identifier: MIT */
#include "mappings.h"

#include <stdio.h>

enum { PATH_ROOM = 4096 };

void mappings_walk(void (*see)(const struct mapping *mapping, void *data), void *data) {
    char line[PATH_ROOM + 128], path[PATH_ROOM + 1];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end, offset;
        if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %4096[^\n]", &start, &end, &offset, path) == 4 && path[0] == '/')
            see(&(struct mapping){start, end, offset, path}, data);
    }
    if (maps != NULL)
        fclose(maps);
}
