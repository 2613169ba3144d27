/* SPDX-License-Identifier: MIT */
#include "kit/report.h"

#include <unistd.h>

#include "os/os.h"
#include "kit/readonly.h"

_Atomic uint64_t report_counters[COUNTERS];
_Atomic unsigned report_action READONLY = REPORT_SAY | REPORT_ABORT;

THREAD_LOCAL struct report_thread report_thread;

struct sink {
    char *at, *end;
};

static void put(struct sink *sink, char c) {
    if (sink->at < sink->end)
        *sink->at++ = c;
}

static void put_string(struct sink *sink, const char *text) {
    for (text = text ? text : "(null)"; *text != '\0'; text++)
        put(sink, *text);
}

static void put_number(struct sink *sink, uint64_t n, unsigned radix) {
    char digits[24];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[n % radix];
        n /= radix;
    } while (n > 0);
    while (count > 0)
        put(sink, digits[--count]);
}

static void put_signed(struct sink *sink, int n) {
    if (n < 0)
        put(sink, '-');
    put_number(sink, n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
}

size_t report_vformat(char *out, size_t room, const char *format, va_list arguments) {
    struct sink sink = {out, out + room - 1};
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(&sink, *format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_string(&sink, va_arg(arguments, const char *));
            break;
        case 'p':
            put_string(&sink, "0x");
            put_number(&sink, (uintptr_t)va_arg(arguments, const void *), 16);
            break;
        case 'z':
            put_number(&sink, va_arg(arguments, size_t), 10);
            break;
        case 'd':
            put_signed(&sink, va_arg(arguments, int));
            break;
        default:
            put(&sink, *format);
        }
    }
    *sink.at = '\0';
    return (size_t)(sink.at - out);
}

size_t report_format(char *out, size_t room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t length = report_vformat(out, room, format, arguments);
    va_end(arguments);
    return length;
}

void report_line(const char *format, ...) {
    char line[512];
    size_t length = report_format(line, sizeof line - 1, "myalloc: ");
    va_list arguments;
    va_start(arguments, format);
    length += report_vformat(line + length, sizeof line - 1 - length, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < length; i++) /* a path from the environment may hold anything; a message is one line */
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    os_write(STDERR_FILENO, line, length);
}

void report_misuse(const char *call, const void *pointer, const char *what) {
    report_thread.inside = false; /* the program may have a handler for SIGABRT that allocates */
    report_line("%s(%p): %s", call, pointer, what);
    os_abort();
}

void report_reentered(void) {
    report_line("%s: called by a signal handler that interrupted the allocator in the same thread; a handler may only call "
                "what signal-safety(7) lists",
                report_thread.call ? report_thread.call : "a function");
    os_abort();
}

void report_set_action(unsigned action) {
    if (readonly_open(&report_action, sizeof report_action))
        report_action = action;
}

void report_bad_call(const char *call, const void *pointer, const char *what) {
    if (report_action & REPORT_SAY)
        report_line("%s(%p): %s", call, pointer, what);
    if (report_action & REPORT_ABORT)
        os_abort();
}

bool report_walk(struct walk *walk, bool holds, const char *invariant, const void *where) {
    if (!holds && walk->broken++ < WALK_SAID)
        report_line("broken invariant: %s at %p", invariant, where);
    return holds;
}

void report_broken(const char *file, int line, const char *expression) {
    report_line("%s:%d: broken invariant: %s", file, line, expression);
    os_abort();
}

void report_counter_line(void) {
    char line[256];
    size_t length = report_format(line, sizeof line, "myalloc-counters: ops=%z locks=%z waits=%z rmws=%z oscalls=%z\n",
                                  (size_t)report_counters[COUNT_OPS], (size_t)report_counters[COUNT_LOCKS],
                                  (size_t)report_counters[COUNT_WAITS], (size_t)report_counters[COUNT_RMWS],
                                  (size_t)report_counters[COUNT_OSCALLS]);
    os_write(STDERR_FILENO, line, length);
}
