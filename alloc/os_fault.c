/* SPDX-License-Identifier: MIT */
#include "os_fault.h"

#include <stdatomic.h>
#include <unistd.h>

#include "os.h"

static struct {
    bool read, onwards;
    unsigned long at;
    int kind; /* -1: every kind counts */
    _Atomic unsigned long seen, refused;
} fault;

/* getenv would do, but the first call may come before libc has set it up; the initial stack is always there. */
extern char **__environ;

static const char *variable(const char *name) {
    for (char **entry = __environ; entry != NULL && *entry != NULL; entry++) {
        const char *text = *entry, *want = name;
        while (*want != '\0' && *text == *want)
            text++, want++;
        if (*want == '\0' && *text == '=')
            return text + 1;
    }
    return NULL;
}

static void read_plan(void) {
    if (__environ == NULL)
        return;
    fault.read = true;
    fault.kind = -1;
    const char *text = variable("MYALLOC_FAULT"), *kind = variable("MYALLOC_FAULT_KIND");
    for (; text != NULL && *text >= '0' && *text <= '9'; text++)
        fault.at = fault.at * 10 + (unsigned long)(*text - '0');
    fault.onwards = text != NULL && *text == '+';
    if (kind != NULL && kind[0] != 'a')
        fault.kind = kind[0] == 'b'   ? OS_FAULT_BRK
                     : kind[0] == 'g' ? OS_FAULT_GUARD
                     : kind[1] == 'm' ? OS_FAULT_MMAP
                                      : OS_FAULT_MREMAP;
}

bool os_fault_due(enum os_fault_kind kind) {
    if (!fault.read)
        read_plan();
    if (fault.at == 0 || (fault.kind >= 0 && fault.kind != (int)kind))
        return false;
    unsigned long call = atomic_fetch_add(&fault.seen, 1) + 1;
    bool due = fault.onwards ? call >= fault.at : call == fault.at;
    if (due)
        atomic_fetch_add(&fault.refused, 1);
    return due;
}

__attribute__((destructor)) static void say(void) {
    const char *report = variable("MYALLOC_FAULT_REPORT");
    if (!MYALLOC_FAULT || report == NULL || *report != '1' || fault.refused == 0)
        return;
    char line[64] = "myalloc-fault: injected ", *out = line + 24;
    unsigned long n = fault.refused, scale = 1;
    while (n / scale >= 10)
        scale *= 10;
    for (; scale > 0; scale /= 10)
        *out++ = (char)('0' + n / scale % 10);
    *out++ = '\n';
    os_write(STDERR_FILENO, line, (size_t)(out - line));
}
