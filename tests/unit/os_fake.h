/* SPDX-License-Identifier: MIT */
/* An OS layer that a test directs: the break moves in a reservation of its own, and calls can be refused. */
#ifndef TESTS_OS_FAKE_H
#define TESTS_OS_FAKE_H

#include "os/os.h"

extern int os_fake_refuse_brk, os_fake_refuse_map, os_fake_refuse_unmap; /* while not 0 */
extern int os_fake_refuse_nth;                  /* of those that map, counted down to 0 */
extern bool os_fake_refuse_decommit, os_fake_guards; /* os_decommit fails; os_guard_install works */
extern bool os_fake_refuse_purge;
extern void (*os_fake_while_remapping)(void);  /* another thread comes in between */
extern void (*os_fake_while_purging)(void);    /* the same, in a purge */
/* Another caller of sbrk, around a move of ours. */
extern void (*os_fake_before_break)(intptr_t), (*os_fake_after_break)(intptr_t);
extern bool os_fake_no_places;                  /* as a kernel that maps at no address that is asked for */
extern size_t os_fake_address_limit;               /* RLIMIT_AS */
extern _Thread_local unsigned os_fake_processor;   /* that the thread is on */
extern size_t os_fake_map_most;                    /* more is refused at a time */
extern size_t os_fake_purged;                      /* bytes given back so far */
extern uint64_t os_fake_clock;                     /* ms */
extern size_t os_fake_mapped;                      /* bytes mapped now */
extern size_t os_fake_reserved;                    /* bytes of addresses ever reserved, or mapped at an address of choice */

/* Huge pages: how many were asked for, by either call, and where last; what each takes of the thread's time; what os_collapse
 * says; of how many pages of a range this process alone has memory; PR_SET_THP_DISABLE. */
extern int os_fake_huge_count, os_fake_collapse_error;
extern uintptr_t os_fake_huge_at;
extern uint64_t os_fake_huge_us;
extern size_t os_fake_pages_alone;
extern bool os_fake_huge_disabled;

extern const char *os_fake_thread_name;            /* of every thread */

/* What os_read_file finds; the last row has no path. */
struct os_fake_file {
    const char *path, *text;
};
extern const struct os_fake_file *os_fake_files;

/* Another caller of sbrk moves the break. */
void os_fake_foreign_break(intptr_t delta);

/* Where the break stands. */
uintptr_t os_fake_break(void);

#endif
