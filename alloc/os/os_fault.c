/* SPDX-License-Identifier: MIT */
#include "os/os_fault.h"

#if MYALLOC_DEBUG
_Atomic uint64_t os_calls;
#endif

#if MYALLOC_FAULT

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/scan.h"

#define SITES 256 /* places that call: some 60 in the sources, so that the table stays sparse */
#define KIND_NAME(name, group) {#name, #group},

static const struct {
    const char *name, *group;
} kinds[] = {OS_FAULT_KINDS(KIND_NAME)};

struct site {
    _Atomic uintptr_t caller; /* the return address, and in its top byte the kind, from 1; 0: nobody yet */
    _Atomic unsigned long seen, refused;
};

static struct {
    bool read;    /* the environment has been */
    bool onwards; /* N+ */
    bool random;  /* ~N */
    unsigned long at, seed; /* N, SEED */
    const char *kind;       /* NULL: every kind counts */
    const char *sites_only; /* offsets of the only places that count, or NULL */
    _Atomic unsigned long seen, refused;
    struct site sites[SITES];
} fault BIG_TABLE;

extern char **__environ;
extern const char __ehdr_start[] HIDDEN;

static const char *variable(const char *name) {
    return scan_variable(__environ, name);
}

/* Reads a decimal number and steps over it. */
static unsigned long number(const char **text) {
    size_t n;
    *text += scan_number(*text, SIZE_MAX, 10, &n);
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

/* Whether a call is one of the one in N at random: the same answer for the same call and seed. */
static bool draw(unsigned long call) {
    uint64_t mixed = (call + fault.seed * 1000003) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
    return (mixed >> 33) % fault.at == 0;
}

/* By write(2) itself: what goes through the OS layer may be refused. */
static void put_line(int fd, const char *line, int length) {
    if (write(fd, line, (size_t)length) < 0)
        return;
}

static void put_site(int fd, uintptr_t key, unsigned long seen, unsigned long refused) {
    char line[128];
    uintptr_t caller = key & ~((uintptr_t)0xff << 56);
    put_line(fd, line, snprintf(line, sizeof line, "%s %lu %lu %lu\n", kinds[(key >> 56) - 1].name,
                                (unsigned long)(caller - (uintptr_t)__ehdr_start), seen, refused));
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
    if (report != NULL && *report == '1' && fault.refused > 0)
        put_line(STDERR_FILENO, line, snprintf(line, sizeof line, "myalloc-fault: injected %lu\n", fault.refused));
    list_sites();
}

#endif
