/* SPDX-License-Identifier: MIT */
/* run: helper */
/* What an attacker may count on: code in blocks, and where blocks lie. */
#include <sys/personality.h>
#include <unistd.h>

#include "misuse.h"

/* Jumps into a block that holds a `ret`. */
static void execute(size_t bytes) {
    char *p = about(take(bytes));
    p[0] = (char)0xc3;
    begin();
    void (*volatile jump)(void);
    *(void *volatile *)(void *)&jump = p;
    jump();
    happened();
    say("not caught: the code in the block has run");
}

static void execute_small(void) {
    execute(SMALL);
}

static void execute_large(void) {
    execute(LARGE);
}

static void execute_mapping(void) {
    execute(MAPPING);
}

static void writable_code(void) {
    static char text[65536];
    sink = take(SMALL);
    sink = take(LARGE);
    sink = take(MAPPING);
    begin();
    FILE *maps = fopen("/proc/self/maps", "r");
    size_t length = maps != NULL ? fread(text, 1, sizeof text - 1, maps) : 0;
    text[length] = '\0';
    happened();
    if (length == 0 || length == sizeof text - 1)
        say("/proc/self/maps cannot be read");
    else
        say(strstr(text, " rwx") != NULL ? "not caught: a mapping is" : "harmless: no mapping is");
}

enum { COUNT = 64 };

static uint64_t mix(uint64_t sum, uint64_t word) {
    return (sum ^ word) * UINT64_C(0x100000001b3);
}

/* Addresses relative to the first, of blocks of one size and of several, some freed between. */
static uint64_t pattern(uintptr_t base) {
    char *p[COUNT];
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < COUNT; i++)
        p[i] = take(SMALL);
    for (int i = 0; i < COUNT; i += 3)
        give(p[i]);
    for (int i = 0; i < COUNT; i += 3)
        p[i] = take(SMALL);
    for (int i = 0; i < COUNT; i++)
        sum = mix(sum, (uintptr_t)p[i] - (base != 0 ? base : (uintptr_t)p[0]));
    return sum;
}

static void relative_order(void) {
    begin();
    say("fingerprint %016lx", (unsigned long)pattern(0));
    happened();
}

/* Runs itself again without randomised mappings. */
static void absolute_order(void) {
    int now = personality(0xffffffff);
    if (now != -1 && (now & ADDR_NO_RANDOMIZE) == 0) {
        char *again[] = {"layout", "absolute_order", NULL};
        if (personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1 || execv("/proc/self/exe", again) != 0)
            say("cannot: the kernel refuses ADDR_NO_RANDOMIZE");
        return;
    }
    begin();
    say("fingerprint %016lx", (unsigned long)pattern(1));
    happened();
}

static const struct misuse cases[] = {
    CASE(execute_small, "jump into a block"),
    CASE(execute_large, "jump into a block of 64 KiB"),
    CASE(execute_mapping, "jump into a block of 1 MiB"),
    CASE(writable_code, "memory that is writable and executable"),
    CASE(relative_order, "where blocks lie, relative to the first, foretold from another run"),
    CASE(absolute_order, "where blocks lie foretold from another run, where mappings are not randomised"),
};

MISUSE_MAIN
