/* SPDX-License-Identifier: MIT */
/* Misuses, one a run: PROGRAM CASE [full]. What a run says on standard output is its own account, which misuse.test reads:
 *
 *     pointer 0xADDRESS      the block, or what passes for one, that messages must name
 *     link 0xADDRESS         what is written into a freed block
 *     misuse                 the next statement is the misuse
 *     happened               it came back
 *     refused ERRNO          it returned NULL
 *     harmless: WHY          it was neither refused nor did it change or show anything of the program's
 *     not caught: DAMAGE     what it changed or showed
 *     fingerprint HEX        to be compared with that of other runs
 *
 * A run looks for the damage itself, so "not caught" is never a guess, and it touches memory that is its own alone: how it
 * ends does not depend on what happens to lie behind a block. Without arguments the cases are listed: NAME|TITLE. */
#ifndef TESTS_MISUSE_H
#define TESTS_MISUSE_H

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL 64           /* blocks in spans */
#define LARGE 65536        /* whole units of the page heap */
#define MAPPING (1 << 20)  /* a mapping of its own */
#define MB (1 << 20)

struct misuse {
    const char *name, *title;
    void (*run)(void);
};
#define CASE(name, title)                                                                                              \
    { #name, title, name }

/* What the compiler must not see through. */
static void *volatile sink;
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

static __attribute__((unused, format(printf, 1, 2))) void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    if (strncmp(format, "not caught", 10) == 0) /* with such a heap the program goes no further */
        _exit(0);
}

/* Names the pointer that messages are about. */
static __attribute__((unused)) void *about(void *p) {
    say("pointer %p", p);
    return p;
}

static __attribute__((unused)) void begin(void) {
    say("misuse");
}

static __attribute__((unused)) void happened(void) {
    say("happened");
}

static __attribute__((unused, noinline)) char *take(size_t bytes) {
    sink = malloc(bytes);
    return sink;
}

static __attribute__((unused, noinline)) void give(void *p) {
    sink = p;
    free(sink);
}

/* Of a call that must return NULL. */
static __attribute__((unused)) void refused(void *p) {
    if (p == NULL)
        say("refused %s", errno == ENOMEM ? "ENOMEM" : errno == EINVAL ? "EINVAL" : "with another errno");
    else
        say("not caught: returned %p", p);
}

/* What a read has shown: `secret` is the program's, any other byte is not. */
static __attribute__((unused)) void shown(unsigned char byte, unsigned char secret, const char *whose) {
    if (byte == secret)
        say("not caught: shows %s", whose);
    else
        say("harmless: shows %s", byte == 0 ? "zeros" : "a fill pattern");
}

/* With a second argument: so many blocks first, which keep as many guarded pages as sample_memory:64k allows. */
enum { GUARDED_MOST = 64 };
static void *guarded[GUARDED_MOST];

static inline int misuse_main(const struct misuse *cases, size_t count, int argc, char **argv) {
    static char buffer[4096]; /* stdio must not allocate */
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    for (int i = 0; argc > 2 && i < GUARDED_MOST; i++)
        guarded[i] = malloc(1);
    for (size_t i = 0; i < count; i++) {
        if (argc < 2)
            say("%s|%s", cases[i].name, cases[i].title);
        else if (strcmp(argv[1], cases[i].name) == 0)
            cases[i].run();
    }
    return 0;
}

#define MISUSE_MAIN                                                                                                    \
    int main(int argc, char **argv) {                                                                                  \
        return misuse_main(cases, sizeof cases / sizeof *cases, argc, argv);                                           \
    }

#endif
