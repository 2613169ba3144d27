/* SPDX-License-Identifier: MIT */
#include "kit/budget.h"

#include <stdatomic.h>
#include <string.h>

#include "base/scan.h"
#include "os/os.h"
#include "kit/name.h"
#include "kit/own.h"
#include "kit/probe.h"
#include "kit/report.h"
#include "kit/text.h"
#include "kit/tunables.h"

#define GROUP_ROOM 1024 /* of a group; one with a longer path counts as without a limit */
#define CGROUP_ROOT "/sys/fs/cgroup"
#define NO_LIMIT_FROM ((size_t)1 << 60) /* version 1 has no word for "none": it says 2^63 less a page */

struct budget_sums budget_sums;
static _Atomic size_t cgroup_limit; /* 0: not looked up yet */

/* ---- control groups ---------------------------------------------------------------------------------------------- */

/* The limit that a file holds; SIZE_MAX if it is "max" or another word. False if the file cannot be read. */
static bool read_limit(const char *path, size_t *limit) {
    char text[32];
    size_t length = os_read_file(path, text, sizeof text), number;
    size_t digits = scan_number(text, length, 10, &number);
    *limit = digits == 0 || number >= NO_LIMIT_FROM ? SIZE_MAX : number;
    return length > 0;
}

/* The least limit of a group and of those above it, up to the root: their paths are the group's, cut at each slash. `group`
 * is cut, too. False if none of the files can be read. */
static bool least_limit(const char *root, char *group, const char *file, size_t *least) {
    char path[GROUP_ROOM + 64];
    bool found = false;
    *least = SIZE_MAX;
    for (size_t length = strlen(group);;) {
        size_t limit;
        while (length > 0 && group[length - 1] == '/')
            length--;
        group[length] = '\0';
        text_format(path, sizeof path, "%s%s/%s", root, group, file);
        if (read_limit(path, &limit)) {
            found = true;
            *least = min_size(*least, limit);
        }
        if (length == 0)
            return found;
        while (length > 0 && group[length - 1] != '/')
            length--;
    }
}

/* The path in the line NUMBER:CONTROLLER:PATH of /proc/self/cgroup that names this controller, ended by a NUL there; NULL if
 * there is no such line. In version 2 the controller is empty. */
static char *group_of(char *lines, const char *controller) {
    size_t wanted = strlen(controller);
    for (char *line = lines; line != NULL && *line != '\0';) {
        char *colon = strchr(line, ':'), *end = strchr(line, '\n');
        if (colon != NULL && strncmp(colon + 1, controller, wanted) == 0 && colon[1 + wanted] == ':') {
            if (end != NULL)
                *end = '\0';
            return colon + 2 + wanted;
        }
        line = end ? end + 1 : NULL;
    }
    return NULL;
}

/* A group's limit counts all that its processes hold, also code, stacks and mappings of the program's own. If the heap might
 * take all of it, the kernel would end the program before a call could return NULL. */
static size_t heap_share(size_t limit) {
    return limit == SIZE_MAX ? limit : limit - min_size(max_size(limit / 8, 16 * MIB), limit / 2);
}

/* Version 1 is looked for first: where both are mounted, the memory controller is in one of them only. */
static size_t heap_limit_of_group(void) {
    char lines[2 * GROUP_ROOM], *group;
    size_t limit, length = os_read_file("/proc/self/cgroup", lines, sizeof lines - 1);
    lines[length] = '\0';
    group = group_of(lines, "memory");
    if (group != NULL && strlen(group) < GROUP_ROOM &&
        least_limit(CGROUP_ROOT "/memory", group, "memory.limit_in_bytes", &limit))
        return heap_share(limit);
    lines[os_read_file("/proc/self/cgroup", lines, sizeof lines - 1)] = '\0';
    group = group_of(lines, "");
    if (group != NULL && strlen(group) < GROUP_ROOM && least_limit(CGROUP_ROOT, group, "memory.max", &limit))
        return heap_share(limit);
    report_line("limit:cgroup: no memory.max or memory.limit_in_bytes can be read under " CGROUP_ROOT
                "; there is no limit");
    return SIZE_MAX;
}

static size_t COLD cgroup_limit_slow(void) {
    size_t limit = atomic_load_explicit(&cgroup_limit, memory_order_relaxed);
    if (limit == 0) {
        limit = max_size(heap_limit_of_group(), 1);
        atomic_store_explicit(&cgroup_limit, limit, memory_order_relaxed);
    }
    return limit;
}

size_t budget_limit(void) {
    size_t limit = tunables.limit;
    return UNLIKELY(limit == LIMIT_CGROUP) ? cgroup_limit_slow() : limit;
}

/* ---- the sum ----------------------------------------------------------------------------------------------------- */

/* Tells that the limit does not allow so much more. Returns false. */
static COLD bool over_limit(size_t bytes, size_t taken, size_t limit) {
    if (probe_refuse_is_on())
        probe_refuse(bytes, taken, limit);
    return false;
}

bool budget_charge(size_t bytes) {
    size_t limit = budget_limit(), old = atomic_load_explicit(&budget_sums.taken, memory_order_relaxed), highest;
    do {
        if (bytes > limit || old > limit - bytes)
            return over_limit(bytes, old, limit);
    } while (!atomic_compare_exchange_weak_explicit(&budget_sums.taken, &old, old + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    highest = atomic_load_explicit(&budget_sums.peak, memory_order_relaxed);
    while (old + bytes > highest && !atomic_compare_exchange_weak_explicit(&budget_sums.peak, &highest, old + bytes,
                                                                           memory_order_relaxed, memory_order_relaxed))
        continue;
    return true;
}

void budget_refund(size_t bytes) {
    atomic_fetch_sub_explicit(&budget_sums.taken, bytes, memory_order_relaxed);
}

static void *between_fences(size_t bytes, void *(*reserve)(size_t)) {
    char *space = bytes <= SIZE_LIMIT - 2 * BUDGET_FENCE ? reserve(bytes + 2 * BUDGET_FENCE) : NULL;
    return space != NULL ? space + BUDGET_FENCE : NULL;
}

void *budget_reserve(size_t bytes) {
    return between_fences(bytes, os_reserve_zeros);
}

void budget_unreserve(void *addr, size_t bytes) {
    if (!os_unmap((char *)addr - BUDGET_FENCE, bytes + 2 * BUDGET_FENCE))
        os_discard(addr, bytes); /* the same as in budget_give_back */
}

void *budget_map_piece(size_t bytes) {
    void *addr = between_fences(bytes, os_reserve);
    if (addr != NULL && !budget_commit(addr, bytes)) {
        budget_unreserve(addr, bytes);
        return NULL;
    }
    if (addr != NULL)
        name_memory(addr, bytes, NAME_OWN);
    return addr;
}

void *budget_map(size_t bytes) {
    void *addr = budget_map_piece(bytes);
    if (addr != NULL)
        own_note(addr, bytes);
    return addr;
}

COLD void *budget_map_once(_Atomic(void *) *table, size_t bytes) {
    void *fresh = budget_map(bytes), *there = NULL;
    if (fresh == NULL || atomic_compare_exchange_strong(table, &there, fresh))
        return fresh;
    budget_unmap(fresh, bytes);
    return there;
}

bool budget_commit(void *addr, size_t bytes) {
    if (!budget_charge(bytes))
        return false;
    bool done = os_commit(addr, bytes);
    if (done)
        atomic_fetch_add_explicit(&budget_sums.own, bytes, memory_order_relaxed);
    else
        budget_refund(bytes);
    return done;
}

bool budget_uncommit(void *addr, size_t bytes, bool unmap) {
    if (!(unmap ? os_unmap(addr, bytes) : os_decommit(addr, bytes)))
        return false;
    atomic_fetch_sub_explicit(&budget_sums.own, bytes, memory_order_relaxed);
    budget_refund(bytes);
    return true;
}

void budget_unmap(void *addr, size_t bytes) {
    own_forget(addr);
    atomic_fetch_sub_explicit(&budget_sums.own, bytes, memory_order_relaxed);
    budget_unreserve(addr, bytes);
    budget_refund(bytes);
}

COLD bool budget_grow_map_slow(struct address_map *map, size_t more) {
    size_t old_bytes = align_up(address_map_bytes(map), OS_PAGE);
    void *fresh = budget_map(align_up(address_map_grown_bytes(map), OS_PAGE));
    if (fresh == NULL)
        return false;
    void *old = address_map_grow(map, fresh);
    if (old != NULL)
        budget_unmap(old, old_bytes);
    return budget_grow_map(map, more);
}

void budget_give_back(void *addr, size_t bytes) {
    if (!os_unmap(addr, bytes))
        os_discard(addr, bytes); /* the addresses are lost, the memory is not */
    budget_refund(bytes);
}

size_t budget_taken(void) {
    return atomic_load_explicit(&budget_sums.taken, memory_order_relaxed);
}

size_t budget_peak(void) {
    return atomic_load_explicit(&budget_sums.peak, memory_order_relaxed);
}

size_t budget_own(void) {
    return atomic_load_explicit(&budget_sums.own, memory_order_relaxed);
}
