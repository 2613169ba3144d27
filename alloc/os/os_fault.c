/* SPDX-License-Identifier: MIT */
#include "os/os_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define SITES (MYALLOC_FAULT ? 256 : 1) /* places that call */
#define KIND_NAME(name, group) {#name, #group},

static const struct {
    const char *name, *group;
} kinds[] = {OS_FAULT_KINDS(KIND_NAME)};

struct site {
    _Atomic uintptr_t caller; /* and kind: addresses have room for it above */
    _Atomic unsigned long seen, refused;
};

static struct {
    bool read, onwards, random;
    unsigned long at, seed;
    const char *kind;       /* NULL: every kind counts */
    const char *sites_only; /* offsets of the only places that count, or NULL */
    _Atomic unsigned long seen, refused;
    struct site sites[SITES];
} fault BIG_TABLE;

/* getenv would do, but the first call may come before libc has set it up; the initial stack is always there. */
extern char **__environ;
extern const char __ehdr_start[] HIDDEN;

static const char *variable(const char *name) {
    size_t length = strlen(name);
    for (char **entry = __environ; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

static unsigned long number(const char **text) {
    unsigned long n = 0;
    for (; **text >= '0' && **text <= '9'; ++*text)
        n = n * 10 + (unsigned long)(**text - '0');
    return n;
}

static void read_plan(void) {
    if (__environ == NULL)
        return;
    const char *text = variable("MYALLOC_FAULT"), *kind = variable("MYALLOC_FAULT_KIND");
    fault.read = true;
    fault.sites_only = variable("MYALLOC_FAULT_AT");
    fault.kind = kind != NULL && strcmp(kind, "all") != 0 ? kind : NULL;
    if (text == NULL)
        return;
    fault.random = *text == '~';
    text += fault.random;
    fault.at = number(&text);
    fault.onwards = *text == '+';
    if (*text == ':') {
        text++;
        fault.seed = number(&text);
    }
}

static struct site *site_of(enum os_fault_kind kind, uintptr_t caller) {
    uintptr_t key = caller | (uintptr_t)(kind + 1) << 56;
    for (size_t i = caller % SITES, tries = 0; tries < SITES; tries++, i = (i + 1) % SITES) {
        uintptr_t free = 0;
        if (atomic_compare_exchange_strong(&fault.sites[i].caller, &free, key) || free == key)
            return &fault.sites[i];
    }
    return &fault.sites[0];
}

static bool is_counted(enum os_fault_kind kind, uintptr_t caller) {
    const char *list = fault.sites_only;
    bool here = list == NULL;
    for (; !here && list != NULL && *list != '\0'; list += *list == ',')
        here = number(&list) == caller - (uintptr_t)__ehdr_start;
    if (!here)
        return false;
    return fault.kind == NULL || strcmp(fault.kind, kinds[kind].name) == 0 || strcmp(fault.kind, kinds[kind].group) == 0;
}

/* The same for the same call of the same seed. */
static bool draw(unsigned long call) {
    uint64_t mixed = (call + fault.seed * 1000003) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
    return (mixed >> 33) % fault.at == 0;
}

static char *put(char *out, const char *text, unsigned long n) {
    while (*text != '\0')
        *out++ = *text++;
    unsigned long scale = 1;
    while (n / scale >= 10)
        scale *= 10;
    for (; scale > 0; scale /= 10)
        *out++ = (char)('0' + n / scale % 10);
    return out;
}

/* By write(2) itself: what goes through the OS layer may be refused. */
static void put_line(int fd, char *line, char *end) {
    *end++ = '\n';
    if (write(fd, line, (size_t)(end - line)) < 0)
        return;
}

static void put_site(int fd, uintptr_t key, unsigned long seen, unsigned long refused) {
    char line[128], *at = line;
    at = put(at, kinds[(key >> 56) - 1].name, 0) - 1;
    at = put(at, " ", (key & ~((uintptr_t)0xff << 56)) - (uintptr_t)__ehdr_start);
    at = put(at, " ", seen);
    at = put(at, " ", refused);
    put_line(fd, line, at);
}

static int open_sites(void) {
    const char *path = variable("MYALLOC_FAULT_SITES");
    return path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
}

/* The first call and the first refusal at once: the program may not live to its exit. */
static void tell(const struct site *site, unsigned long seen, unsigned long refused) {
    int error = errno, fd = open_sites();
    if (fd >= 0) {
        put_site(fd, site->caller, seen, refused);
        close(fd);
    }
    errno = error;
}

static void list_sites(void) {
    int fd = open_sites();
    for (size_t i = 0; fd >= 0 && i < SITES; i++) {
        const struct site *site = &fault.sites[i];
        if (site->caller != 0)
            put_site(fd, site->caller, site->seen - 1, site->refused - (site->refused > 0));
    }
    if (fd >= 0)
        close(fd);
}

bool os_fault_due(enum os_fault_kind kind, const void *caller) {
    if (!fault.read)
        read_plan();
    struct site *site = site_of(kind, (uintptr_t)caller);
    if (site->seen++ == 0)
        tell(site, 1, 0);
    if (fault.at == 0 || !is_counted(kind, (uintptr_t)caller))
        return false;
    unsigned long call = ++fault.seen;
    bool due = fault.random ? draw(call) : fault.onwards ? call >= fault.at : call == fault.at;
    fault.refused += due;
    if (due && site->refused++ == 0)
        tell(site, 0, 1);
    return due;
}

__attribute__((destructor)) static void say(void) {
    const char *report = variable("MYALLOC_FAULT_REPORT");
    char line[64];
    if (MYALLOC_FAULT && report != NULL && *report == '1' && fault.refused > 0)
        put_line(STDERR_FILENO, line, put(line, "myalloc-fault: injected ", fault.refused));
    if (MYALLOC_FAULT)
        list_sites();
}
