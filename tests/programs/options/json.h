/* SPDX-License-Identifier: MIT */
/* The statistics of the library under test, read through its JSON. */
#ifndef TESTS_OPTIONS_JSON_H
#define TESTS_OPTIONS_JSON_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char json_text[65536];

__attribute__((unused)) static size_t json_call(char *out, size_t room) {
    static size_t (*function)(char *, size_t);
    if (function == NULL)
        function = (size_t(*)(char *, size_t))dlsym(RTLD_DEFAULT, "myalloc_stats_json");
    if (function == NULL)
        abort();
    return function(out, room);
}

__attribute__((unused)) static void json_read(void) {
    if (json_call(json_text, sizeof json_text) >= sizeof json_text)
        abort();
}

/* The number behind `key` in the object `group`, or, for "", in the outermost one; not in the objects within it. */
__attribute__((unused)) static size_t json_in(const char *group, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\": {", group);
    const char *at = group[0] != '\0' ? strstr(json_text, quoted) : json_text;
    if (at == NULL)
        abort();
    at = strchr(at, '{') + 1;
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    for (int depth = 1; depth > 0 && *at != '\0'; at++) {
        depth += (*at == '{') - (*at == '}');
        if (depth == 1 && strncmp(at, quoted, strlen(quoted)) == 0)
            return strtoul(at + strlen(quoted), NULL, 10);
    }
    abort();
}

__attribute__((unused)) static size_t json_number(const char *key) {
    return json_in("", key);
}

/* Sums of bytes over the rows of the classes. */
struct json_classes {
    size_t live, cached, home, live_blocks;
};

__attribute__((unused)) static struct json_classes json_classes(void) {
    struct json_classes sum = {0, 0, 0, 0};
    for (const char *row = strstr(json_text, "{\"size\""); row != NULL; row = strstr(row + 1, "{\"size\"")) {
        size_t size, live, cached, home;
        if (sscanf(row, "{\"size\": %zu, \"live\": %zu, \"cached\": %zu, \"home\": %zu}", &size, &live, &cached,
                   &home) != 4)
            abort();
        sum.live += size * live;
        sum.live_blocks += live;
        sum.cached += size * cached;
        sum.home += size * home;
    }
    return sum;
}

/* Whether everything adds up: the identity, and each number that is a sum of others. Says what does not. */
__attribute__((unused)) static bool json_adds_up(void) {
    struct json_classes classes = json_classes();
    size_t taken = json_number("taken"), live = json_number("live"), cached = json_number("cached");
    size_t free_bytes = json_number("free"), metadata = json_number("metadata");
    size_t heap = json_in("heap", "bytes"), large = json_in("heap", "large"), mapped = json_in("mapped", "bytes");
    size_t guarded = json_in("guarded", "bytes");
    size_t unused = json_in("free_parts", "unused"), tails = json_in("free_parts", "tails");
    size_t home = json_in("free_parts", "home");
    const struct {
        const char *name;
        size_t left, right;
    } sums[] = {
        {"live + cached + free + metadata = taken", live + cached + free_bytes + metadata, taken},
        {"heap + mapped + guarded + metadata = taken", heap + mapped + guarded + metadata, taken},
        {"lists + parked = cached", json_in("cached_parts", "lists") + json_in("cached_parts", "parked"), cached},
        {"home + spans + tails + unused + around = free",
         home + json_in("free_parts", "spans") + tails + unused + json_in("free_parts", "around"), free_bytes},
        {"small + large + mapped + hardened + guarded = live",
         classes.live + large + mapped + json_in("hardened", "bytes") + guarded, live},
        {"blocks of classes = cached", classes.cached, cached},
        {"blocks of classes = home", classes.home, home},
        {"live blocks", classes.live_blocks + json_in("heap", "large_blocks") + json_in("mapped", "blocks") +
         json_in("hardened", "blocks") + json_in("guarded", "blocks"),
         json_number("live_blocks")},
    };
    bool all = true;
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        if (sums[i].left != sums[i].right) {
            printf("# %s: %zu is not %zu\n", sums[i].name, sums[i].left, sums[i].right);
            all = false;
        }
    return all;
}

#endif
