/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests use of Criterion, for machines and C libraries that Debian has no Criterion for: each test in a
 * child process of its own, under a watchdog, its verdict as TAP. An argument picks the suites that it is the start of.
 */
#ifndef TESTS_BUILDS_CRITERION_H
#define TESTS_BUILDS_CRITERION_H

#include "tap.h"

struct unit_test {
    const char *suite, *name;
    void (*run)(void);
    struct unit_options {
        double timeout; /* seconds */
        void (*init)(void);
    } options;
    struct unit_test *next;
};

static struct unit_test *unit_tests, *unit_suites, **unit_last = &unit_tests;
static bool unit_wrong;

static void unit_add(struct unit_test *test) {
    *unit_last = test;
    unit_last = &test->next;
}

#define Test(in, called, ...)                                                                                          \
    static void in##_##called##_run(void);                                                                             \
    static struct unit_test in##_##called = {#in, #called, in##_##called##_run, {__VA_ARGS__}, NULL};                  \
    __attribute__((constructor)) static void in##_##called##_add(void) {                                               \
        unit_add(&in##_##called);                                                                                      \
    }                                                                                                                  \
    static void in##_##called##_run(void)

#define TestSuite(in, ...)                                                                                             \
    static struct unit_test in##_suite = {#in, NULL, NULL, {__VA_ARGS__}, NULL};                                       \
    __attribute__((constructor)) static void in##_suite_add(void) {                                                    \
        in##_suite.next = unit_suites;                                                                                 \
        unit_suites = &in##_suite;                                                                                     \
    }

/* Says what did not hold. An assertion ends the test, an expectation only fails it. */
__attribute__((format(printf, 4, 5), unused)) static void unit_failed(const char *file, int line, const char *what,
                                                                      const char *more, ...) {
    va_list arguments;
    printf("# %s:%d: %s", file, line, what);
    va_start(arguments, more);
    vprintf(more, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    unit_wrong = true;
}

#define UNIT_SAY(what, ...) unit_failed(__FILE__, __LINE__, what, " " __VA_ARGS__)
#define cr_expect(holds, ...)                                                                                          \
    do {                                                                                                               \
        if (!(holds))                                                                                                  \
            UNIT_SAY(#holds, ##__VA_ARGS__);                                                                           \
    } while (0)
#define cr_assert(holds, ...)                                                                                          \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            UNIT_SAY(#holds, ##__VA_ARGS__);                                                                           \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)
#define cr_assert_fail(...) cr_assert(false, ##__VA_ARGS__)
#define cr_assert_not(a, ...) cr_assert(!(a), ##__VA_ARGS__)
#define cr_expect_not(a, ...) cr_expect(!(a), ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b), ##__VA_ARGS__)
#define cr_expect_eq(a, b, ...) cr_expect((a) == (b), ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...) cr_assert((a) != (b), ##__VA_ARGS__)
#define cr_expect_neq(a, b, ...) cr_expect((a) != (b), ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...) cr_assert((a) < (b), ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...) cr_assert((a) <= (b), ##__VA_ARGS__)
#define cr_assert_float_eq(a, b, epsilon, ...) cr_assert((a) - (b) <= (epsilon) && (b) - (a) <= (epsilon), ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...) cr_assert((a) > (b), ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...) cr_assert((a) >= (b), ##__VA_ARGS__)
#define cr_expect_geq(a, b, ...) cr_expect((a) >= (b), ##__VA_ARGS__)
#define cr_expect_leq(a, b, ...) cr_expect((a) <= (b), ##__VA_ARGS__)
#define cr_expect_gt(a, b, ...) cr_expect((a) > (b), ##__VA_ARGS__)
#define cr_expect_lt(a, b, ...) cr_expect((a) < (b), ##__VA_ARGS__)
#define cr_assert_null(a, ...) cr_assert((a) == NULL, ##__VA_ARGS__)
#define cr_expect_null(a, ...) cr_expect((a) == NULL, ##__VA_ARGS__)
#define cr_assert_not_null(a, ...) cr_assert((a) != NULL, ##__VA_ARGS__)
#define cr_expect_not_null(a, ...) cr_expect((a) != NULL, ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) cr_assert(strcmp(a, b) == 0, ##__VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) cr_expect(strcmp(a, b) == 0, ##__VA_ARGS__)

static void unit_run(const struct unit_test *test) {
    tap_watchdog(test->options.timeout > 0 ? (unsigned)test->options.timeout : 60);
    for (const struct unit_test *suite = unit_suites; suite != NULL; suite = suite->next)
        if (strcmp(suite->suite, test->suite) == 0 && suite->options.init != NULL)
            suite->options.init();
    if (test->options.init != NULL)
        test->options.init();
    test->run();
    fflush(stdout);
    exit(unit_wrong);
}

int main(int argc, char **argv) {
    for (const struct unit_test *test = unit_tests; test != NULL; test = test->next) {
        if (argc > 1 && strncmp(test->suite, argv[1], strlen(argv[1])) != 0)
            continue;
        pid_t child = fork();
        if (child == 0)
            unit_run(test);
        tap(tap_child_passed(child), "%s::%s", test->suite, test->name);
    }
    return tap_done();
}

#endif
